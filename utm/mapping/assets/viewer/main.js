// Looking at a city: camera, switches, read-out. The page is drawn only when something changes.

import { PerspectiveCamera, Raycaster, Scene, Spherical, Vector2, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { schemes } from "./colours.js";
import { load } from "./data.js";
import { buildPanel, showLegend } from "./panel.js";
import { pick, readOut } from "./readout.js";
import { build, paint } from "./scene.js";
import { selfTest } from "./selftest.js";
import { buildWay } from "./way.js";
import { say, speak, spoken } from "./words.js";

const find = (id) => document.getElementById(id);

async function start() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  let city, renderer;
  try {
    city = await load(find("city").textContent);
  } catch (error) {
    return fail("broken", error);
  }
  speak(wanted.get("lang") ?? city.language);
  try {
    renderer = new WebGLRenderer({ canvas: find("view"), antialias: true, alpha: true, preserveDrawingBuffer: wanted.has("selftest") });
  } catch (error) {
    return fail("noWebgl", error);
  }
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  const scene = new Scene(), camera = new PerspectiveCamera(32, 1, 1, 1e6);
  const made = build(city), colours = schemes(city);
  scene.add(made.root);
  const way = buildWay(city, find("labels"));
  if (way) {
    scene.add(way.root);
    find("switches").open = false; // the way comes first, and the view is a part of a page
  }
  const controls = new OrbitControls(camera, renderer.domElement);
  Object.assign(controls, { enableDamping: true, dampingFactor: 0.12, maxPolarAngle: 1.5, zoomToCursor: true, screenSpacePanning: false });

  const state = {
    colour: wanted.get("colour") ?? city.layer, show: wanted.get("show") ?? "all",
    stretch: Number(wanted.get("exaggerate") ?? city.stretch), unseen: true, hanging: true, contours: city.contour_m > 0,
  };
  if (!(state.colour in colours)) state.colour = "natural";
  const view = { city, made, camera, controls, renderer, state, colours, draw, apply, home, pending: 0 };

  function apply(change = {}) {
    const before = state.colour;
    Object.assign(state, change);
    if (view.painted !== state.colour) paint(city, made.shared, colours[state.colour]);
    view.painted = state.colour;
    const all = state.show === "all";
    made.solid.visible = all;
    made.shared.covered.value = all ? 1 : 0;
    made.glass.visible = all && state.unseen;
    made.hanging.visible = all && state.hanging;
    made.shared.stretch.value = state.stretch;
    made.shared.contour.value = state.contours ? city.contour_m : 0;
    made.marker.visible = false;
    if (before !== state.colour || !change.stretch) showLegend(view);
    draw();
  }

  // As near as the whole city fits, seen from a turn and a tilt in degrees
  function home(turn = 24, tilt = 52, zoom = 1) {
    const width = city.nx * city.cell_m, depth = city.ny * city.cell_m, radians = Math.PI / 180;
    const size = Math.hypot(width, depth), low = controls.target.set(0, city.middle_m * state.stretch, 0).y;
    const away = new Vector3().setFromSpherical(new Spherical(1, (90 - tilt) * radians, -turn * radians));
    camera.position.copy(away).add(controls.target);
    camera.lookAt(controls.target);
    camera.updateMatrix();
    const [right, up, back] = [0, 1, 2].map((k) => new Vector3().setFromMatrixColumn(camera.matrix, k));
    const tan = Math.tan((camera.fov / 2) * radians);
    let far = 0;
    for (const x of [-0.5, 0.5]) for (const z of [-0.5, 0.5]) for (const y of [0, city.high_m * state.stretch]) {
      const corner = new Vector3(x * width, y - low, z * depth);
      const need = Math.max(Math.abs(corner.dot(right)) / camera.aspect, Math.abs(corner.dot(up))) / tan / (camera.aspect > 1 ? 0.84 : 0.95);
      far = Math.max(far, need + corner.dot(back));
    }
    camera.position.copy(away.multiplyScalar(far / zoom)).add(controls.target);
    controls.minDistance = 12;
    controls.maxDistance = Math.max(size * 4, far * 1.5);
    controls.update();
    draw();
  }

  function resize() {
    const { clientWidth, clientHeight } = renderer.domElement.parentElement;
    renderer.setSize(clientWidth, clientHeight, false);
    camera.aspect = clientWidth / clientHeight;
    camera.updateProjectionMatrix();
    draw();
  }

  function draw() {
    if (view.pending) return;
    view.pending = requestAnimationFrame(() => {
      view.pending = 0;
      const moving = controls.update();
      render();
      if (moving) draw();
    });
  }

  function render() {
    const away = camera.position.distanceTo(controls.target);
    camera.near = Math.max(0.5, away * 0.02);
    camera.far = away + Math.hypot(city.nx, city.ny) * city.cell_m * 2 + 4000 * state.stretch;
    camera.updateProjectionMatrix();
    way?.follow(camera, renderer.domElement, state.stretch);
    renderer.render(scene, camera);
    find("needle").style.transform = `rotate(${controls.getAzimuthalAngle() + city.north_rad}rad)`;
    scaleBar(away);
  }
  view.render = render;

  function scaleBar(away) {
    const metre = renderer.domElement.clientHeight / (2 * Math.tan((camera.fov * Math.PI) / 360) * away);
    const rough = 130 / metre, power = 10 ** Math.floor(Math.log10(rough));
    const length = [5, 2, 1].map((k) => k * power).find((l) => l <= rough) ?? power;
    find("bar").style.width = `${length * metre}px`;
    find("length").textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  function heading() {
    const day = city.surveyed.oldest === null ? say("dateUnknown")
      : `${say("surveyed")} ${[...new Set([city.surveyed.oldest, city.surveyed.newest])].join(` ${say("to")} `)}`;
    find("title").textContent = city.title;
    find("facts").textContent = `${say("version")} ${city.version.slice(0, 12)} · ${day}`;
    find("datum").textContent = [
      `${city.crs} · ${say("heightsIn")} ${city.vertical}`,
      say("cells", city.map_cell_m) + (city.cell_m > city.map_cell_m ? ` (${say("drawn", city.cell_m)})` : ""),
    ].join(" · ");
    find("hint").textContent = say("hint");
    find("language").textContent = say("other");
  }

  buildPanel(view);
  find("language").onclick = () => {
    speak(spoken() === "en" ? "ja" : "en");
    heading();
    buildPanel(view);
    showLegend(view);
  };
  find("compass").onclick = () => {
    const offset = camera.position.clone().sub(controls.target), round = new Spherical().setFromVector3(offset);
    round.theta = -city.north_rad;
    camera.position.setFromSpherical(round).add(controls.target);
    controls.update();
    draw();
  };
  find("home").onclick = () => home();
  controls.addEventListener("change", draw);
  watchPointer(view);
  addEventListener("resize", resize);
  // A page around this one says which place of the way somebody points at: { way_m: metres } or { way_m: null }
  addEventListener("message", ({ data }) => {
    if (!way || !data || data.way_m === undefined) return;
    way.show(data.way_m);
    draw();
  });
  heading();
  resize();
  const number = (name, otherwise) => (wanted.has(name) ? Number(wanted.get(name)) : otherwise);
  home(number("turn", 24), number("tilt", 52), number("zoom", 1));
  apply();
  if (wanted.has("at")) {
    const [x, y] = wanted.get("at").split(",").map(Number);
    requestAnimationFrame(() => requestAnimationFrame(() => readAt(view, x * innerWidth, y * innerHeight)));
  }
  document.body.classList.add("ready");
  if (wanted.has("selftest")) selfTest(view);
}

function watchPointer(view) {
  const canvas = view.renderer.domElement;
  let asked = 0;
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons || event.pointerType === "touch") return;
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => readAt(view, event.clientX, event.clientY));
  });
  let down = null;
  canvas.addEventListener("pointerdown", (event) => (down = [event.clientX, event.clientY]));
  canvas.addEventListener("pointerup", (event) => {
    if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) < 6) readAt(view, event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerleave", () => readAt(view, -1, -1));
}

const ray = new Raycaster();

function readAt(view, x, y) {
  const { city, made, camera, state } = view, box = view.renderer.domElement.getBoundingClientRect();
  let found = null;
  if (x >= box.left && y >= box.top) {
    ray.setFromCamera(new Vector2(((x - box.left) / box.width) * 2 - 1, 1 - ((y - box.top) / box.height) * 2), camera);
    found = pick(city, ray.ray, state);
  }
  readOut(city, found, find("readout"));
  made.marker.visible = !!found;
  if (found) {
    const { ix, iy, foot, top } = found, wide = city.cell_m, lift = state.stretch;
    made.marker.position.set((ix - city.nx / 2) * wide, foot * lift, (city.ny / 2 - iy) * wide);
    made.marker.scale.copy(new Vector3(wide, Math.max(top - foot, 0.2) * lift, wide));
  }
  view.draw();
  return found;
}

function fail(word, error) {
  console.warn(error);
  const box = find("failed");
  box.hidden = false;
  box.textContent = say(word);
  document.body.classList.add("ready");
}

start();
