// The switches, and the legend of what is shown.

import { AIR, MAGENTA } from "./colours.js";
import { SUSPECT, UNKNOWN } from "./data.js";
import { say } from "./words.js";

const find = (id) => document.getElementById(id);
const make = (tag, set = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), set);
  element.append(...children);
  return element;
};

export function buildPanel(view) {
  const { city, colours, state, apply } = view;
  const choice = (name, values) =>
    make("div", { className: "choices", role: "radiogroup" }, ...values.map(([value, word]) => {
      const input = make("input", { type: "radio", name, value, checked: state[name] === value });
      input.onchange = () => apply({ [name]: value });
      return make("label", {}, input, make("span", { textContent: say(word) }));
    }));
  const tick = (name, word, there) => {
    if (!there) return [];
    const input = make("input", { type: "checkbox", checked: state[name] });
    input.onchange = () => apply({ [name]: input.checked });
    return [make("label", { className: "tick" }, input, make("span", { textContent: say(word) }))];
  };
  const value = make("output", { textContent: state.stretch.toFixed(1) });
  const slider = make("input", { type: "range", min: "0.5", max: "5", step: "0.1", value: String(state.stretch), id: "stretch" });
  slider.setAttribute("aria-label", say("exaggerate"));
  slider.oninput = () => {
    value.textContent = Number(slider.value).toFixed(1);
    apply({ stretch: Number(slider.value) });
  };
  find("panel").replaceChildren(
    make("h2", { textContent: say("show") }), choice("show", [["all", "all"], ["ground", "groundOnly"]]),
    make("h2", { textContent: say("colour") }), choice("colour", Object.keys(colours).map((name) => [name, name])),
    make("h2", {}, `${say("exaggerate")} `, value), slider,
    ...tick("unseen", "unseen", city.status.some((flags, i) => flags & UNKNOWN && city.above[i])),
    ...tick("hanging", "hanging", city.floating.count > 0),
    ...tick("contours", "contours", city.contour_m > 0),
  );
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;

export function showLegend(view) {
  const { city, colours, state } = view;
  const rows = colours[state.colour].legend.filter((row) => state.show === "all" || state.colour !== "natural" || row.gradient);
  const any = (flag) => city.status.some((flags) => flags & flag);
  const kinds = new Set(city.floating_kind);
  const extra = [];
  if (any(UNKNOWN)) extra.push({ hatched: true, word: "unseenGround" });
  if (any(SUSPECT) && state.show === "all") extra.push({ colour: css(MAGENTA), word: "suspect" });
  if (state.show === "all" && state.hanging)
    for (const [kind, word] of [[1, "seenAir"], [2, "suspectAir"], [3, "enteredAir"]])
      if (kinds.has(kind)) extra.push({ colour: css(AIR[kind]), word });
  if (state.contours && city.contour_m > 0) extra.push({ line: true, text: say("contourEvery", city.contour_m) });
  find("legend").replaceChildren(
    make("h2", { textContent: say(state.colour) }),
    ...[...rows, ...extra].map((row) => {
      if (row.gradient) {
        const bar = make("i", { className: "ramp" });
        bar.style.background = row.gradient;
        return make("div", { className: "scale" }, bar,
          make("span", { textContent: `${row.from}` }), make("span", { textContent: `${row.to} ${row.unit ?? ""}` }));
      }
      const key = make("i", { className: row.hatched ? "key hatched" : row.line ? "key line" : "key" });
      if (row.colour) key.style.background = row.colour;
      return make("div", { className: "row" }, key, make("span", { textContent: row.text ?? say(row.word) }));
    }),
  );
}
