// What the page carries: one JSON document, planes of numbers in it as base64 of deflated, split, differenced bytes.

export async function load(text) {
  const head = JSON.parse(text);
  const planes = {};
  await Promise.all(Object.entries(head.planes).map(async ([name, plane]) => {
    planes[name] = await decode(plane);
  }));
  return { ...head, ...planes, count: head.nx * head.ny };
}

async function decode({ bytes, length, base64 }) {
  const raw = await inflate(base64);
  const out = bytes === 2 ? new Uint16Array(length) : new Uint8Array(length);
  let last = 0;
  for (let i = 0; i < length; i++) {
    const step = bytes === 2 ? raw[i] | (raw[length + i] << 8) : raw[i];
    last = (last + step) & (bytes === 2 ? 0xffff : 0xff);
    out[i] = last;
  }
  return out;
}

async function inflate(base64) {
  const packed = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Heights in metres of the map's datum
export const ground = (city, i) => city.base_m + city.ground[i] * city.step_m;
export const above = (city, i) => city.above[i] * city.step_m;

const DAY = 86400e3;
export const isoDay = (days) => new Date(days * DAY).toISOString().slice(0, 10);

// Longitude and latitude of a place in metres, bilinear in a lattice that is fine enough for centimetres
export function lonLat(city, east, north) {
  const { n, lon, lat } = city.lattice;
  const at = (value, extent) => {
    const x = Math.min(Math.max(value / extent, 0), 1) * (n - 1);
    const i = Math.min(Math.floor(x), n - 2);
    return [i, x - i];
  };
  const [i, u] = at(east, city.nx * city.cell_m);
  const [j, v] = at(north, city.ny * city.cell_m);
  const mix = (t) =>
    (t[i * n + j] * (1 - u) + t[(i + 1) * n + j] * u) * (1 - v) +
    (t[i * n + j + 1] * (1 - u) + t[(i + 1) * n + j + 1] * u) * v;
  return [mix(lon), mix(lat)];
}

export const KNOWN = 1, UNKNOWN = 2, RASTER = 4, CLOUD = 8, SUSPECT = 16, ASSUMED = 32, MODEL = 64, FILTERED = 128;
