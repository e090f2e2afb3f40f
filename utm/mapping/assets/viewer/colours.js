// What a colour means: one function for each way of colouring, and its legend. sRGB, 0 to 255.

import { ASSUMED, CLOUD, FILTERED, MODEL, RASTER, SUSPECT, UNKNOWN, above, ground, isoDay } from "./data.js";

const hex = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
const ramp = (...stops) => {
  const at = stops.map(([value]) => value);
  const rgb = stops.map(([, colour]) => hex(colour));
  return (value) => {
    let k = 1;
    while (k < at.length - 1 && value > at[k]) k++;
    const t = Math.min(Math.max((value - at[k - 1]) / (at[k] - at[k - 1]), 0), 1);
    return rgb[k].map((high, c) => rgb[k - 1][c] + (high - rgb[k - 1][c]) * t);
  };
};

const RELIEF = ramp([0, "#dfe8cf"], [10, "#e8ecd3"], [30, "#ece8cd"], [80, "#e2d3b1"], [250, "#cbb594"], [900, "#f4f1ec"]);
const HOUSES = ramp([2, "#ded5c8"], [8, "#d3c3b2"], [15, "#c2a491"], [30, "#a07a7c"], [60, "#6d5480"], [120, "#3b2f63"]);
const TREES = ramp([2, "#b9d09a"], [10, "#97b87c"], [20, "#769f68"], [40, "#527f52"]);
// Pale to dark in even steps, as readable in grey
const EVEN = ["#f6f3df", "#e2e5b5", "#bcd8a1", "#8cc4a0", "#5eaaa5", "#4189a6", "#39689d", "#3a4a86", "#332c5c"];
// Okabe and Ito's eight colours, lighter first
const KINDS = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#7b6cc4", "#8c9a3b", "#b5836a"];
const GREY = hex("#8d949b");
export const MAGENTA = hex("#e0218a");
export const ORANGE = hex("#ef6c00");
export const AIR = { 1: hex("#0b7fd3"), 2: MAGENTA, 3: ORANGE };

const even = (low, high) => ramp(...EVEN.map((colour, k) => [low + ((high - low) * k) / (EVEN.length - 1), colour]));
const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;
const OBJECT_M = 2;

function range(city, value, keep) {
  // 1st to 99th percentile of a sample, so that one mast does not take all the colours
  const seen = [];
  const step = Math.max(1, Math.floor(city.count / 20000));
  for (let i = 0; i < city.count; i += step) if (keep(i)) seen.push(value(i));
  if (!seen.length) return [0, 1];
  seen.sort((a, b) => a - b);
  const low = seen[Math.floor(seen.length * 0.01)], high = seen[Math.ceil(seen.length * 0.99) - 1];
  return high - low > 0.5 ? [low, high] : [low, low + 1];
}

function scale(of, low, high, digits = 0) {
  const stops = Array.from({ length: 12 }, (_, k) => `${css(of(low + ((high - low) * k) / 11))} ${(k / 11) * 100}%`);
  return { gradient: `linear-gradient(90deg, ${stops.join(",")})`, from: low.toFixed(digits), to: high.toFixed(digits) };
}

// Every way of colouring: { ground(i), object(i), legend, smooth }
export function schemes(city) {
  const known = (i) => !(city.status[i] & UNKNOWN);
  const bare = (i) => above(city, i) <= OBJECT_M;
  const top = (i) => ground(city, i) + above(city, i);
  const [low, high] = range(city, (i) => (known(i) ? top(i) : ground(city, i)), () => true);
  const [, tall] = range(city, (i) => above(city, i), (i) => known(i) && !bare(i));
  const tint = (i) => RELIEF(city.ground[i] * city.step_m);
  const heights = even(low, high);
  const standing = even(0, Math.max(10, tall));
  const days = city.age.filter((day) => day > 0);
  const oldest = days.reduce((a, b) => Math.min(a, b), 65535), newest = days.reduce((a, b) => Math.max(a, b), 0);
  const ages = ramp([oldest - 0.5, "#b35806"], [(oldest + newest) / 2, "#f7e0b6"], [newest + 0.5, "#2b7bba"]);
  const age = (i) => (city.age[i] ? ages(city.age[i]) : GREY);
  const kinds = KINDS.map(hex);
  const source = (i) => (city.source[i] ? kinds[(city.source[i] - 1) % kinds.length] : GREY);
  const certainty = (i) => {
    const flags = city.status[i];
    if (flags & SUSPECT) return MAGENTA;
    if (flags & UNKNOWN) return GREY;
    if (flags & MODEL) return hex("#e8a13a");
    if (flags & ASSUMED) return hex("#e8c9a0");
    if (flags & FILTERED) return hex("#c9d7a3");
    return flags & CLOUD ? hex("#5fae8b") : hex("#a9cbb7");
  };
  const any = (flag) => city.status.some((flags) => flags & flag);
  const used = [...new Set(city.source)].filter(Boolean).sort((a, b) => a - b);
  return {
    natural: {
      ground: tint, smooth: true,
      object: (i) => (city.look[i] ? TREES : HOUSES)(above(city, i)),
      legend: [
        { colour: css(HOUSES(5)), word: "low" }, { colour: css(HOUSES(30)), text: "30 m" },
        { colour: css(HOUSES(60)), text: "60 m" },
        ...(city.look.some((look) => look) ? [{ colour: css(TREES(12)), word: "woods" }] : []),
      ],
    },
    height: {
      ground: (i) => heights(ground(city, i)), object: (i) => heights(top(i)), smooth: true,
      legend: [{ ...scale(heights, low, high), unit: `m ${city.vertical}` }],
    },
    above: {
      ground: () => hex("#e9ebe6"), object: (i) => standing(above(city, i)), smooth: true,
      legend: [{ ...scale(standing, 0, Math.max(10, tall)), word: "aboveGround", unit: "m" }],
    },
    age: {
      ground: age, object: age,
      legend: [
        ...(newest ? [{ ...scale(ages, oldest, newest), from: isoDay(oldest), to: isoDay(newest), unit: "" }] : []),
        ...(city.age.some((day) => !day) ? [{ colour: css(GREY), word: "undated" }] : []),
      ],
    },
    source: {
      ground: source, object: source,
      legend: [
        ...used.slice(0, 10).map((n) => ({ colour: css(kinds[(n - 1) % kinds.length]), text: city.sources[n - 1]?.file ?? `${n}` })),
        ...(used.length > 10 ? [{ colour: "none", text: `+ ${used.length - 10}` }] : []),
        ...(city.source.some((n) => !n) ? [{ colour: css(GREY), word: "assumed" }] : []),
      ],
    },
    known: {
      ground: certainty, object: certainty,
      legend: [
        ...(any(CLOUD) ? [{ colour: css(hex("#5fae8b")), word: "seenCloud" }] : []),
        ...(any(RASTER) ? [{ colour: css(hex("#a9cbb7")), word: "seenRaster" }] : []),
        ...(any(MODEL) ? [{ colour: css(hex("#e8a13a")), word: "entered" }] : []),
        ...(any(FILTERED) ? [{ colour: css(hex("#c9d7a3")), word: "filtered" }] : []),
        ...(any(ASSUMED) ? [{ colour: css(hex("#e8c9a0")), word: "groundAssumed" }] : []),
      ],
    },
  };
}
