// Light that does not move, worked out once: slopes, cast shadows, and how much sky a cell sees.

import { UNKNOWN } from "./data.js";

// Sun in the north-west, as cartographers have it: lit from the south, most people see hills as hollows
export const SUN = [-0.53, 0.66, -0.53]; // east, up, south
const DROP = 0.66 / Math.hypot(0.53, 0.53); // metres of height for a metre of shadow

export function lighting(city) {
  const { nx, ny, count, cell_m, step_m } = city;
  const bare = Float32Array.from(city.ground, (v) => v * step_m);
  // What nobody saw is drawn as glass and throws no shadow
  const top = bare.map((h, i) => (city.status[i] & UNKNOWN ? h : h + city.above[i] * step_m));
  const shadow = new Float32Array(count).fill(-1e9);
  const fall = DROP * Math.SQRT2 * cell_m;
  for (let x = 1; x < nx; x++)
    for (let y = ny - 2; y >= 0; y--) {
      const from = (x - 1) * ny + y + 1;
      shadow[x * ny + y] = Math.max(shadow[from], top[from]) - fall;
    }
  const near = boxMean(top, nx, ny, Math.max(1, Math.round(6 / cell_m)));
  const far = boxMean(top, nx, ny, Math.max(2, Math.round(24 / cell_m)));
  const soft = boxMean(bare, nx, ny, Math.max(1, Math.round(4 / cell_m)));
  const onGround = new Uint8Array(count * 2), onTop = new Uint8Array(count * 2), slope = new Float32Array(count * 2);
  const sky = (h, i) => 1 - Math.min(0.5, Math.max(0, near[i] - h) / 22 + Math.max(0, far[i] - h) / 45);
  const dark = (h, i) => Math.min(1, Math.max(0, (shadow[i] - h - 0.4) / 2.5));
  const at = (x, y) => soft[Math.min(Math.max(x, 0), nx - 1) * ny + Math.min(Math.max(y, 0), ny - 1)];
  for (let x = 0; x < nx; x++)
    for (let y = 0; y < ny; y++) {
      const i = x * ny + y;
      onGround.set([255 * dark(bare[i], i), 255 * sky(bare[i], i)], 2 * i);
      onTop.set([255 * dark(top[i], i), 255 * sky(top[i], i)], 2 * i);
      slope.set([(at(x + 1, y) - at(x - 1, y)) / (2 * cell_m), (at(x, y + 1) - at(x, y - 1)) / (2 * cell_m)], 2 * i);
    }
  return { onGround, onTop, slope };
}

function boxMean(values, nx, ny, radius) {
  const pass = (from, n, lines, at) => {
    const out = new Float32Array(from.length);
    for (let line = 0; line < lines; line++) {
      let sum = 0;
      const read = (k) => from[at(line, Math.min(Math.max(k, 0), n - 1))];
      for (let k = -radius; k <= radius; k++) sum += read(k);
      for (let k = 0; k < n; k++) {
        out[at(line, k)] = sum / (2 * radius + 1);
        sum += read(k + radius + 1) - read(k - radius);
      }
    }
    return out;
  };
  return pass(pass(values, ny, nx, (x, y) => x * ny + y), nx, ny, (y, x) => x * ny + y);
}
