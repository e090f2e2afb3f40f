// From heights to triangles. Positions are in cells east, metres above the lowest ground, cells north.

import { SUSPECT, UNKNOWN } from "./data.js";

export const OBJECT_M = 2;
const GROUND_VERTICES = 160_000;
const TRIANGLES = 900_000;

// The ground as one smooth sheet with a skirt, so that the city stands on a block
export function groundSheet(city, depth_m) {
  const { nx, ny, step_m } = city;
  const stride = Math.max(1, Math.ceil(Math.sqrt((nx * ny) / GROUND_VERTICES)));
  const xs = lines(nx, stride), ys = lines(ny, stride);
  const position = [], index = [], side = [];
  const corner = (x, y) => {
    let sum = 0, n = 0;
    for (let i = Math.max(0, x - 1); i <= Math.min(nx - 1, x); i++)
      for (let j = Math.max(0, y - 1); j <= Math.min(ny - 1, y); j++) (sum += city.ground[i * ny + j]), n++;
    return (sum / n) * step_m;
  };
  for (const x of xs) for (const y of ys) position.push(x, corner(x, y), y), side.push(0);
  const rows = ys.length;
  for (let i = 0; i + 1 < xs.length; i++)
    for (let j = 0; j + 1 < rows; j++) {
      const a = i * rows + j, b = a + rows;
      index.push(a, b, a + 1, b, b + 1, a + 1);
    }
  const rim = [
    ...xs.map((_, i) => i * rows), ...ys.map((_, j) => (xs.length - 1) * rows + j),
    ...xs.map((_, i) => (xs.length - 1 - i) * rows + rows - 1), ...ys.map((_, j) => rows - 1 - j),
  ];
  const start = position.length / 3;
  for (const at of rim) {
    const [x, h, y] = position.slice(at * 3, at * 3 + 3);
    position.push(x, h, y, x, -depth_m, y);
    side.push(1, 1);
  }
  for (let k = 0; k + 1 < rim.length; k++) {
    const a = start + 2 * k;
    index.push(a, a + 1, a + 2, a + 2, a + 1, a + 3);
  }
  return { position: new Float32Array(position), side: new Float32Array(side), index: new Uint32Array(index) };
}

function lines(n, stride) {
  const out = [];
  for (let i = 0; i < n; i += stride) out.push(i);
  out.push(n);
  return out;
}

// Columns with vertical walls over the cells that `stands` picks. Equal neighbours share one top and one wall; heights
// are rounded more coarsely until the triangles fit.
export function columns(city, stands, sink_m = 2) {
  const heights = new Float32Array(city.count).fill(NaN);
  for (let quantum = 0.25; ; quantum *= 2) {
    for (let i = 0; i < city.count; i++) {
      if (!stands(i)) continue;
      const foot = city.ground[i] * city.step_m;
      heights[i] = Math.ceil((foot + city.above[i] * city.step_m) / quantum) * quantum;
    }
    const quads = faces(city, heights, sink_m);
    if (quads.length / 4 <= TRIANGLES / 2 || quantum > 30) return quads.finish();
  }
}

function faces({ nx, ny, ground, step_m }, heights, sink_m) {
  const list = new Quads();
  const foot = (i) => ground[i] * step_m - sink_m;
  for (let x = 0; x < nx; x++)
    for (let y = 0; y < ny; ) {
      const h = heights[x * ny + y];
      if (Number.isNaN(h)) { y++; continue; }
      const from = y;
      while (y < ny && heights[x * ny + y] === h) y++;
      list.add(0, x, h, from, x, h, y, x + 1, h, y, x + 1, h, from);
    }
  // Walls towards a lower neighbour: [normal, dx, dy]; merged along the wall where both sides stay the same
  for (const [face, dx, dy] of [[1, 1, 0], [2, -1, 0], [3, 0, 1], [4, 0, -1]]) {
    const along = dx ? ny : nx, across = dx ? nx : ny;
    for (let c = 0; c < across; c++) {
      let start = -1, high = 0, low = 0;
      const flush = (end) => {
        if (start < 0) return;
        const at = c + (dx + dy > 0 ? 1 : 0);
        if (dx) list.add(face, at, low, start, at, low, end, at, high, end, at, high, start);
        else list.add(face, start, low, at, end, low, at, end, high, at, start, high, at);
        start = -1;
      };
      for (let a = 0; a < along; a++) {
        const x = dx ? c : a, y = dx ? a : c;
        const h = heights[x * ny + y];
        let bottom = NaN;
        if (!Number.isNaN(h)) {
          const x2 = x + dx, y2 = y + dy;
          const inside = x2 >= 0 && y2 >= 0 && x2 < nx && y2 < ny;
          const next = inside ? heights[x2 * ny + y2] : NaN;
          // Rounded down, so that walls on gentle slopes merge; the ground hides what is below it
          bottom = Number.isNaN(next) ? Math.floor(Math.min(foot(x * ny + y), inside ? foot(x2 * ny + y2) : Infinity)) : next;
          if (!(bottom < h)) bottom = NaN;
        }
        if (start >= 0 && (Number.isNaN(bottom) || h !== high || bottom !== low)) flush(a);
        if (start < 0 && !Number.isNaN(bottom)) (start = a), (high = h), (low = bottom);
      }
      flush(along);
    }
  }
  return list;
}

// Four corners a quad: position and, as a byte, which way it looks
class Quads {
  constructor() { this.position = new Float32Array(1 << 16); this.face = new Uint8Array(1 << 15); this.length = 0; }

  add(face, ...corners) {
    if ((this.length + 4) * 3 > this.position.length) {
      this.position = grown(this.position);
      this.face = grown(this.face);
    }
    this.position.set(corners, this.length * 3);
    this.face.fill(face, this.length, this.length + 4);
    this.length += 4;
  }

  finish() {
    const index = new Uint32Array((this.length / 4) * 6);
    for (let q = 0, i = 0; q < this.length; q += 4) for (const k of [0, 1, 2, 0, 2, 3]) index[i++] = q + k;
    return { position: this.position.slice(0, this.length * 3), face: this.face.slice(0, this.length), index };
  }
}

function grown(array) {
  const larger = new array.constructor(array.length * 2);
  larger.set(array);
  return larger;
}

export const isObject = (city) => (i) => city.above[i] * city.step_m > OBJECT_M && !(city.status[i] & UNKNOWN);
export const isUnseen = (city) => (i) => !!(city.status[i] & UNKNOWN) && city.above[i] > 0;
export const isSuspect = (city) => (i) => !!(city.status[i] & SUSPECT);
