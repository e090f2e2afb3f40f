// #selftest: turn every switch and say what changed on the screen, for a machine to read.

const errors = [];
const complain = console.error.bind(console);
console.error = (...words) => { errors.push(words.join(" ")); complain(...words); };
addEventListener("error", (event) => errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));

export function selfTest(view) {
  const { city, made, renderer, state, colours } = view;
  const gl = renderer.getContext();
  const look = (change) => {
    view.apply(change);
    view.render();
    const pixels = new Uint8Array(gl.drawingBufferWidth * gl.drawingBufferHeight * 4);
    gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  };
  const differing = (a, b) => {
    let n = 0;
    for (let i = 0; i < a.length; i += 4) if (Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]) > 12) n++;
    return n / (a.length / 4);
  };
  const first = { ...state };
  const plain = look({ colour: "natural", show: "all", stretch: 1 });
  let covered = 0;
  for (let i = 3; i < plain.length; i += 4) if (plain[i] > 0) covered++;
  const report = { covered: covered / (plain.length / 4), triangles: made.triangles, hanging: city.floating.count, changed: {} };
  report.changed.stretch = differing(plain, look({ stretch: 3 }));
  report.changed.ground = differing(plain, look({ stretch: 1, show: "ground" }));
  report.changed.unseen = differing(plain, look({ show: "all", unseen: false }));
  report.changed.hanging = differing(plain, look({ unseen: true, hanging: false }));
  for (const name of Object.keys(colours)) report.changed[name] = differing(plain, look({ hanging: true, colour: name }));
  const sums = {};
  for (const name of ["ground", "above", "status", "source", "age"]) sums[name] = city[name].reduce((sum, v) => sum + v, 0);
  look(first);
  Object.assign(report, { sums, errors, glError: gl.getError() });
  const out = document.createElement("script");
  out.type = "application/json";
  out.id = "selftest";
  out.textContent = JSON.stringify(report);
  document.body.append(out);
}
