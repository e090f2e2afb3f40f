// Which cell a ray meets first, and what is known of it.

import { SUSPECT, UNKNOWN, isoDay, lonLat } from "./data.js";
import { say } from "./words.js";

// Walks from cell to cell along the ray (Amanatides and Woo 1987); a cell is met when the ray is below its top in it
export function pick(city, { origin, direction }, { stretch, show, unseen }) {
  const { nx, ny, cell_m, step_m } = city;
  const from = [origin.x / cell_m + nx / 2, origin.y / stretch, ny / 2 - origin.z / cell_m];
  const step = [direction.x / cell_m, direction.y / stretch, -direction.z / cell_m];
  let enter = 0, leave = Infinity;
  for (const [axis, n] of [[0, nx], [2, ny]]) {
    if (step[axis] === 0) {
      if (from[axis] < 0 || from[axis] >= n) return null;
      continue;
    }
    const [a, b] = [-from[axis] / step[axis], (n - from[axis]) / step[axis]];
    enter = Math.max(enter, Math.min(a, b));
    leave = Math.min(leave, Math.max(a, b));
  }
  let t = enter + 1e-9;
  for (let tries = 0; t < leave && tries < 2 * (nx + ny) + 4; tries++) {
    const ix = Math.floor(from[0] + step[0] * t), iy = Math.floor(from[2] + step[2] * t);
    if (ix < 0 || iy < 0 || ix >= nx || iy >= ny) return null;
    const exits = [[ix, 0], [iy, 2]].map(([cell, axis]) =>
      step[axis] === 0 ? Infinity : (cell + (step[axis] > 0 ? 1 : 0) - from[axis]) / step[axis]);
    const out = Math.min(...exits);
    const i = ix * ny + iy, foot = city.ground[i] * step_m;
    const covered = show === "all" && (unseen || !(city.status[i] & UNKNOWN));
    const top = foot + (covered ? city.above[i] * step_m : 0);
    if (Math.min(from[1] + step[1] * t, from[1] + step[1] * out) <= top) {
      const where = step[1] < 0 ? Math.max(t, (top - from[1]) / step[1]) : t;
      return { i, ix, iy, foot, top, east: (from[0] + step[0] * where) * cell_m, north: (from[2] + step[2] * where) * cell_m };
    }
    t = out + 1e-9;
  }
  return null;
}

export function readOut(city, found, box) {
  box.hidden = !found;
  document.getElementById("hint").hidden = !!found;
  if (!found) return;
  const { i, ix, iy } = found, flags = city.status[i];
  const [lon, lat] = lonLat(city, found.east, found.north);
  const foot = city.base_m + city.ground[i] * city.step_m, above = city.above[i] * city.step_m;
  const lines = [[`${lat.toFixed(6)}° , ${lon.toFixed(6)}°`, "place"]];
  lines.push([`${say("ground")} ${foot.toFixed(1)} m ${city.vertical}`]);
  const what = flags & UNKNOWN ? "unknownTop" : "top";
  if (above > 0.3) lines.push([`${say(what)} ${(foot + above).toFixed(1)} m · ${say("aboveGround")} ${above.toFixed(1)} m`, "strong"]);
  for (const [low, high] of hanging(city, ix, iy))
    lines.push([`${say("airBelow")}: ${low.toFixed(1)} ${say("to")} ${high.toFixed(1)} m`, "strong"]);
  if (flags & SUSPECT) lines.push([say("suspect"), "alarm"]);
  if (flags & UNKNOWN) lines.push([say("unseenGround"), "alarm"]);
  const source = city.sources[city.source[i] - 1];
  const day = city.age[i] ? isoDay(city.age[i]) : say("dateUnknown");
  lines.push([source ? `${source.file} · ${day}` : say("assumed"), "quiet"]);
  box.replaceChildren(...lines.map(([text, className = ""]) => Object.assign(document.createElement("div"), { textContent: text, className })));
}

function hanging(city, ix, iy) {
  const { count, cell_m } = city.floating, wide = cell_m / city.cell_m, found = [];
  const x = Math.floor(ix / wide), y = Math.floor(iy / wide);
  for (let k = 0; k < count; k++)
    if (city.floating_x[k] === x && city.floating_y[k] === y)
      found.push([city.floating_from[k], city.floating_to[k]].map((h) => city.base_m + h * city.step_m));
  return found;
}
