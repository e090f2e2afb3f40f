// A planned way in the air over the city: the line coloured by its height above ground, the room around it, plumb
// lines to the ground, places, and zones as glass. There only when the page carries one (`city.way`).

import {
  BufferGeometry, CircleGeometry, Color, DoubleSide, Float32BufferAttribute, Group, LineBasicMaterial, LineSegments, Mesh,
  MeshBasicMaterial, SRGBColorSpace, Vector3,
} from "three";
import { Line2 } from "three/examples/jsm/lines/Line2.js";
import { LineGeometry } from "three/examples/jsm/lines/LineGeometry.js";
import { LineMaterial } from "three/examples/jsm/lines/LineMaterial.js";
import { ground } from "./data.js";

const PLUMB_M = 40;
const DOT = 0.006; // radius of the moving dot over its distance

export function buildWay(city, labels) {
  const { way } = city;
  if (!way) return null;
  const at = ([east, north, up]) => [east - (city.nx * city.cell_m) / 2, up - city.base_m, (city.ny * city.cell_m) / 2 - north];
  const root = new Group();
  root.add(...way.zones.flatMap((zone) => glass(zone, at)), room(way, at), plumb(city, way, at), ...line(way, at));
  const dot = new Mesh(new CircleGeometry(1, 32), new MeshBasicMaterial({ color: 0xffffff, depthTest: false, transparent: true }));
  const rim = new Mesh(new CircleGeometry(1.35, 32), new MeshBasicMaterial({ color: 0x1b2127, depthTest: false, transparent: true }));
  rim.renderOrder = 20;
  dot.renderOrder = 21;
  for (const part of [dot, rim]) part.visible = false;
  root.add(rim, dot);
  root.traverse((part) => (part.frustumCulled = false));
  const names = way.places.map(({ name }) => {
    const element = document.createElement("span");
    element.textContent = name;
    labels.append(element);
    return element;
  });
  const along = [0];
  for (let k = 1; k < way.points.length; k++) {
    const [a, b] = [way.points[k - 1], way.points[k]];
    along.push(along[k - 1] + Math.hypot(b[0] - a[0], b[1] - a[1]));
  }

  // The dot at a distance along the ground; over a pad at the top of the column; null takes it away
  function show(metres) {
    for (const part of [dot, rim]) part.visible = metres !== null;
    if (metres === null) return;
    let k = 1;
    while (k < along.length - 1 && along[k] < metres) k++;
    const length = along[k] - along[k - 1], share = length > 0 ? (metres - along[k - 1]) / length : 1;
    const place = way.points[k].map((v, axis) => way.points[k - 1][axis] + (v - way.points[k - 1][axis]) * Math.min(Math.max(share, 0), 1));
    for (const part of [dot, rim]) part.position.set(...at(place));
  }

  const seen = new Vector3();
  function follow(camera, canvas, stretch) {
    root.scale.y = stretch;
    for (const part of [dot, rim]) {
      part.quaternion.copy(camera.quaternion);
      const size = camera.position.distanceTo(part.getWorldPosition(seen)) * DOT;
      part.scale.set(size, size / stretch, size);
    }
    way.places.forEach(({ at: place }, k) => {
      const [x, y, z] = at(place);
      seen.set(x, y * stretch, z).project(camera);
      names[k].hidden = seen.z > 1;
      names[k].style.transform = `translate(${((seen.x + 1) / 2) * canvas.clientWidth}px, ${((1 - seen.y) / 2) * canvas.clientHeight}px)`;
    });
  }
  return { root, show, follow };
}

// In front of the city at full strength, behind it faint
function line(way, at) {
  const shape = new LineGeometry();
  shape.setPositions(way.points.flatMap(at));
  shape.setColors(way.colours.flatMap((rgb) => new Color().setRGB(...rgb, SRGBColorSpace).toArray()));
  return [[9, true, 1, 10, 0xffffff], [5, true, 1, 11], [5, false, 0.28, 12]].map(([linewidth, depthTest, opacity, order, color]) => {
    const made = new Line2(shape, new LineMaterial({
      linewidth, depthTest, opacity, transparent: true, depthWrite: false, vertexColors: color === undefined, color: color ?? 0xffffff,
    }));
    made.renderOrder = order;
    return made;
  });
}

function room(way, at) {
  const position = [], index = [], edges = [], { half_width_m: wide, half_height_m: high } = way;
  for (let k = 1; k < way.points.length; k++) {
    const [a, b] = [way.points[k - 1], way.points[k]], length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 0.5) continue;
    const [dx, dy] = [((a[1] - b[1]) / length) * wide, ((b[0] - a[0]) / length) * wide], first = position.length / 3;
    for (const end of [a, b])
      for (const [side, lift] of [[1, -high], [-1, -high], [-1, high], [1, high]])
        position.push(...at([end[0] + side * dx, end[1] + side * dy, end[2] + lift]));
    for (let side = 0; side < 4; side++) {
      const [p, q] = [first + side, first + ((side + 1) % 4)];
      index.push(p, q, p + 4, q, q + 4, p + 4);
      edges.push(p, p + 4);
    }
  }
  const shape = new BufferGeometry();
  shape.setAttribute("position", new Float32BufferAttribute(position, 3));
  shape.setIndex(index);
  const made = new Group();
  const walls = new Mesh(shape, new MeshBasicMaterial({ color: 0xffffff, transparent: true, opacity: 0.13, side: DoubleSide, depthWrite: false }));
  const lines = new BufferGeometry();
  lines.setAttribute("position", shape.getAttribute("position"));
  lines.setIndex(edges);
  const frame = new LineSegments(lines, new LineBasicMaterial({ color: 0x1b2127, transparent: true, opacity: 0.5, depthWrite: false }));
  walls.renderOrder = 8;
  frame.renderOrder = 9;
  made.add(walls, frame);
  return made;
}

function plumb(city, way, at) {
  const position = [];
  let left = 0;
  for (let k = 1; k < way.points.length; k++) {
    const [a, b] = [way.points[k - 1], way.points[k]], length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    for (; left <= length && length > 0; left += PLUMB_M) {
      const place = a.map((v, axis) => v + ((b[axis] - v) * left) / length);
      const [ix, iy] = [Math.floor(place[0] / city.cell_m), Math.floor(place[1] / city.cell_m)];
      if (ix < 0 || iy < 0 || ix >= city.nx || iy >= city.ny) continue;
      position.push(...at(place), ...at([place[0], place[1], ground(city, ix * city.ny + iy)]));
    }
    left -= length;
  }
  const shape = new BufferGeometry();
  shape.setAttribute("position", new Float32BufferAttribute(position, 3));
  const made = new LineSegments(shape, new LineBasicMaterial({ color: 0x1b2127, transparent: true, opacity: 0.4, depthWrite: false }));
  made.renderOrder = 7;
  return made;
}

function glass({ ring, lower, upper, colour }, at) {
  const position = [], index = [], edges = [], n = ring.length;
  ring.forEach(([east, north], k) => position.push(...at([east, north, lower[k]]), ...at([east, north, upper[k]])));
  for (let k = 0; k < n; k++) {
    const [a, b] = [2 * k, 2 * ((k + 1) % n)];
    index.push(a, b, a + 1, b, b + 1, a + 1);
    edges.push(a, b, a + 1, b + 1);
    if (n <= 12) edges.push(a, a + 1);
  }
  const shape = new BufferGeometry();
  shape.setAttribute("position", new Float32BufferAttribute(position, 3));
  shape.setIndex(index);
  const walls = new Mesh(shape, new MeshBasicMaterial({ color: colour, transparent: true, opacity: 0.16, side: DoubleSide, depthWrite: false }));
  const lines = new BufferGeometry();
  lines.setAttribute("position", shape.getAttribute("position"));
  lines.setIndex(edges);
  const frame = new LineSegments(lines, new LineBasicMaterial({ color: colour, transparent: true, opacity: 0.75, depthWrite: false }));
  walls.renderOrder = 6;
  frame.renderOrder = 6;
  return [walls, frame];
}
