// The city on the graphics card: ground, columns, glass over what nobody saw, things with air below.

import {
  BoxGeometry, BufferAttribute, BufferGeometry, ClampToEdgeWrapping, DataTexture, DataUtils, DoubleSide, EqualDepth,
  Float32BufferAttribute, Group, HalfFloatType, InstancedBufferAttribute, InstancedBufferGeometry, LinearFilter,
  LineBasicMaterial, LineSegments, Mesh, NearestFilter, Points, RGBAFormat, RGFormat, RedFormat, ShaderMaterial,
  UnsignedByteType, Vector2, Vector3,
} from "three";
import { AIR } from "./colours.js";
import { SUSPECT, UNKNOWN } from "./data.js";
import { SUN, lighting } from "./light.js";
import { columns, groundSheet, isObject, isUnseen } from "./mesh.js";

const PLACE = /* glsl */ `
  uniform vec2 cells; uniform float cellM; uniform float stretch;
  vec3 placed(vec3 p) { return vec3((p.x - cells.x * 0.5) * cellM, p.y * stretch, (cells.y * 0.5 - p.z) * cellM); }`;
const LIT = /* glsl */ `
  uniform vec3 sun; uniform float stretch;
  vec3 lit(vec3 colour, vec3 normal, float shadow, float sky) {
    float direct = max(dot(normal, sun), 0.0) * (1.0 - 0.85 * shadow);
    float fill = 0.22 * max(dot(normal, vec3(0.55, 0.25, 0.80)), 0.0);  // walls away from the sun stay readable
    vec3 light = vec3(0.52, 0.55, 0.59) * sky + fill + vec3(0.70, 0.67, 0.60) * direct;
    return colour * light;
  }
  float stripes(float across, float period) {
    float t = abs(fract(across / period) - 0.5) * 2.0, soft = fwidth(across) / period * 2.0;
    return mix(smoothstep(0.5 - soft, 0.5 + soft, t), 0.5, clamp(soft - 0.4, 0.0, 1.0));
  }`;

export function build(city) {
  const light = lighting(city);
  const shared = {
    cells: { value: new Vector2(city.nx, city.ny) }, cellM: { value: city.cell_m }, stretch: { value: 1 },
    sun: { value: new Vector3(...SUN).normalize() },
    period: { value: Math.max(city.nx, city.ny) * city.cell_m / 110 },
    contour: { value: 0 }, covered: { value: 1 }, baseM: { value: city.base_m },
    slopes: { value: texture(city, Uint16Array.from(light.slope, DataUtils.toHalfFloat), RGFormat, HalfFloatType, true) },
    groundLight: { value: texture(city, light.onGround, RGFormat, UnsignedByteType, true) },
    topLight: { value: texture(city, light.onTop, RGFormat, UnsignedByteType, false) },
    groundColour: { value: texture(city, new Uint8Array(city.count * 4), RGBAFormat, UnsignedByteType, true) },
    objectColour: { value: texture(city, new Uint8Array(city.count * 4), RGBAFormat, UnsignedByteType, false) },
    flags: { value: texture(city, city.status.map((s) => (s & SUSPECT ? 255 : s & UNKNOWN ? 128 : 0)), RedFormat, UnsignedByteType, false) },
  };
  const size = Math.max(city.nx, city.ny) * city.cell_m;
  const ground = groundMesh(city, shared, size * 0.022);
  const solid = columnMesh(city, isObject(city), shared);
  const glass = glassMesh(city, shared);
  const hanging = hangingGroup(city, shared);
  const marker = new LineSegments(boxEdges(), new LineBasicMaterial({ color: 0x11212b, depthTest: false, transparent: true, opacity: 0.85 }));
  marker.visible = false;
  marker.renderOrder = 9;
  const root = new Group();
  root.add(ground, solid, glass, hanging, marker);
  for (const part of [ground, solid, ...glass.children, ...hanging.children]) part.frustumCulled = false;
  const triangles = [ground, solid, glass.children[0]].reduce((sum, m) => sum + (m?.geometry.index.count ?? 0) / 3, 0);
  return { root, ground, solid, glass, hanging, marker, shared, triangles: triangles + city.floating.count * 12 };
}

// Fill the colours of a scheme in
export function paint(city, shared, scheme) {
  for (const [name, of] of [["groundColour", scheme.ground], ["objectColour", scheme.object]]) {
    const map = shared[name].value, pixels = map.image.data;
    for (let i = 0; i < city.count; i++) {
      const [r, g, b] = of(i);
      pixels[4 * i] = r, pixels[4 * i + 1] = g, pixels[4 * i + 2] = b, pixels[4 * i + 3] = 255;
    }
    if (name === "groundColour") map.minFilter = map.magFilter = scheme.smooth ? LinearFilter : NearestFilter;
    map.needsUpdate = true;
  }
}

function texture(city, data, format, type, smooth) {
  // Arrays run along north first, so that is the texture's x
  const map = new DataTexture(data, city.ny, city.nx, format, type);
  map.minFilter = map.magFilter = smooth ? LinearFilter : NearestFilter;
  map.wrapS = map.wrapT = ClampToEdgeWrapping;
  map.unpackAlignment = 1;
  map.needsUpdate = true;
  return map;
}

function groundMesh(city, shared, depth) {
  const sheet = groundSheet(city, depth);
  const shape = new BufferGeometry();
  shape.setAttribute("position", new BufferAttribute(sheet.position, 3));
  shape.setAttribute("side", new BufferAttribute(sheet.side, 1));
  shape.setIndex(new BufferAttribute(sheet.index, 1));
  return new Mesh(shape, new ShaderMaterial({
    uniforms: shared, side: DoubleSide, polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1,
    vertexShader: /* glsl */ `${PLACE}
      attribute float side; varying vec3 at; varying float skirt;
      void main() {
        at = position; skirt = side;
        vec3 p = placed(position);
        if (position.y < 0.0) p.y = position.y;  // the block below the city does not stretch
        gl_Position = projectionMatrix * modelViewMatrix * vec4(p, 1.0);
      }`,
    fragmentShader: /* glsl */ `${LIT}
      uniform vec2 cells; uniform float period, contour, covered, cellM, baseM;
      uniform sampler2D groundColour, groundLight, slopes, flags;
      varying vec3 at; varying float skirt;
      void main() {
        vec2 uv = vec2(at.z / cells.y, at.x / cells.x);
        if (skirt > 0.5) {
          float level = 0.90 + 0.10 * smoothstep(-40.0, 60.0, at.y);
          gl_FragColor = vec4(vec3(0.66, 0.64, 0.60) * level, 1.0); return;
        }
        vec3 colour = texture2D(groundColour, uv).rgb;
        float flag = texture2D(flags, uv).r;
        if (flag > 0.25 && flag < 0.75) {
          colour = mix(vec3(0.60, 0.63, 0.66), vec3(0.86, 0.87, 0.88), stripes((at.x + at.z) * cellM * 0.7071, period));
        } else if (flag > 0.75 && covered > 0.5) colour = vec3(0.88, 0.13, 0.54);
        if (contour > 0.0) {
          float level = (at.y + baseM) / contour, width = fwidth(level);
          float line = 1.0 - smoothstep(0.6, 1.6, abs(fract(level - 0.5) - 0.5) / max(width, 1e-6));
          float major = abs(fract(level / 5.0 - 0.5) - 0.5) < 0.02 + width ? 1.0 : 0.5;
          colour = mix(colour, vec3(0.42, 0.34, 0.24), line * 0.32 * major * (1.0 - smoothstep(0.25, 0.6, width)));
        }
        vec2 slope = texture2D(slopes, uv).rg * stretch, light = texture2D(groundLight, uv).rg;
        light = mix(vec2(0.0, 1.0), light, covered);  // nothing stands there that could throw a shadow
        vec3 normal = normalize(vec3(-slope.x, 1.0, slope.y));
        gl_FragColor = vec4(lit(colour, normal, light.r, light.g), 1.0);
      }`,
  }));
}

const COLUMN_VERTEX = /* glsl */ `${PLACE}
  attribute float face; varying vec3 at; varying vec3 facing; varying vec2 inward; varying float height;
  void main() {
    at = position; height = position.y;
    facing = face < 0.5 ? vec3(0, 1, 0) : face < 1.5 ? vec3(1, 0, 0) : face < 2.5 ? vec3(-1, 0, 0) : face < 3.5 ? vec3(0, 0, -1) : vec3(0, 0, 1);
    inward = vec2(-facing.x, facing.z) * 0.5;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(placed(position), 1.0);
  }`;

function columnShape(city, stands) {
  const { position, face, index } = columns(city, stands);
  const shape = new BufferGeometry();
  shape.setAttribute("position", new BufferAttribute(position, 3));
  shape.setAttribute("face", new BufferAttribute(face, 1));
  shape.setIndex(new BufferAttribute(index, 1));
  return shape;
}

function columnMesh(city, stands, shared) {
  return new Mesh(columnShape(city, stands), new ShaderMaterial({
    uniforms: shared, side: DoubleSide, vertexShader: COLUMN_VERTEX,
    fragmentShader: /* glsl */ `${LIT}
      uniform vec2 cells; uniform float cellM, period;
      uniform sampler2D objectColour, topLight, flags;
      varying vec3 at; varying vec3 facing; varying vec2 inward; varying float height;
      void main() {
        vec2 cell = at.xz + inward;
        vec2 uv = vec2(cell.y / cells.y, cell.x / cells.x);
        vec3 colour = texture2D(objectColour, uv).rgb;
        vec2 light = texture2D(topLight, uv).rg;
        if (texture2D(flags, uv).r > 0.75)
          colour = mix(vec3(0.88, 0.13, 0.54), vec3(0.97, 0.55, 0.78), stripes((at.x + at.z) * cellM * 0.7071 + at.y, period * 0.4));
        if (facing.y < 0.5) { colour *= vec3(0.93, 0.92, 0.94); light = vec2(0.0, min(light.g, 0.92)); }
        gl_FragColor = vec4(lit(colour, facing, light.r, light.g), 1.0);
      }`,
  }));
}

// What nobody saw is blocked up to an assumed height: glass, drawn once in depth and once in colour
function glassMesh(city, shared) {
  const group = new Group();
  if (!city.status.some((flags, i) => flags & UNKNOWN && city.above[i])) return group;
  const shape = columnShape(city, isUnseen(city));
  const material = (changes, fragmentShader) =>
    new ShaderMaterial({ uniforms: shared, side: DoubleSide, vertexShader: COLUMN_VERTEX, transparent: true, fragmentShader, ...changes });
  const depth = new Mesh(shape, material({ colorWrite: false }, "void main() { gl_FragColor = vec4(1.0); }"));
  const colour = new Mesh(shape, material({ depthWrite: false, depthFunc: EqualDepth }, /* glsl */ `${LIT}
    uniform float period, cellM; varying vec3 at; varying vec3 facing;
    void main() {
      float line = facing.y > 0.5 ? stripes((at.x + at.z) * cellM * 0.7071, period) : stripes(at.y, period * 0.35);
      gl_FragColor = vec4(lit(vec3(0.62, 0.68, 0.73), facing, 0.0, 1.0), 0.30 + 0.16 * line);
    }`));
  depth.renderOrder = 4;
  colour.renderOrder = 5;
  group.add(depth, colour);
  return group;
}

function hangingGroup(city, shared) {
  const group = new Group(), { count, cell_m, lines } = city.floating;
  if (!count) return group;
  const unit = new BoxGeometry(1, 1, 1), wide = cell_m / city.cell_m;
  const shape = new InstancedBufferGeometry();
  shape.setAttribute("position", unit.getAttribute("position"));
  shape.setAttribute("normal", unit.getAttribute("normal"));
  shape.setIndex(unit.index);
  shape.instanceCount = count;
  const box = new Float32Array(count * 4), colour = new Float32Array(count * 3), middle = [], drop = [];
  for (let k = 0; k < count; k++) {
    const low = city.floating_from[k] * city.step_m, high = Math.max(city.floating_to[k] * city.step_m, low + 0.3);
    const x = (city.floating_x[k] + 0.5) * wide, y = (city.floating_y[k] + 0.5) * wide;
    box.set([x, y, low, high], 4 * k);
    colour.set((AIR[city.floating_kind[k]] ?? AIR[1]).map((c) => c / 255), 3 * k);
    middle.push(x, (low + high) / 2, y);
    const i = Math.min(Math.floor(x), city.nx - 1) * city.ny + Math.min(Math.floor(y), city.ny - 1);
    drop.push(x, low, y, x, (city.ground[i] + city.above[i]) * city.step_m, y);
  }
  shape.setAttribute("box", new InstancedBufferAttribute(box, 4));
  shape.setAttribute("tint", new InstancedBufferAttribute(colour, 3));
  group.add(new Mesh(shape, new ShaderMaterial({
    uniforms: { ...shared, wide: { value: wide } },
    vertexShader: /* glsl */ `${PLACE} uniform float wide; attribute vec4 box; attribute vec3 tint; varying vec3 colour, facing;
      void main() {
        colour = tint; facing = normal;
        vec3 p = vec3(box.x + position.x * wide, mix(box.z, box.w, position.y + 0.5), box.y - position.z * wide);
        gl_Position = projectionMatrix * modelViewMatrix * vec4(placed(p), 1.0);
      }`,
    fragmentShader: `${LIT} varying vec3 colour, facing; void main() { gl_FragColor = vec4(lit(colour, facing, 0.0, 1.05), 1.0); }`,
  })));
  // From afar a wire is thinner than a pixel: points keep it in sight
  const dots = new BufferGeometry();
  dots.setAttribute("position", new Float32BufferAttribute(middle, 3));
  dots.setAttribute("tint", new BufferAttribute(colour, 3));
  group.add(new Points(dots, new ShaderMaterial({
    uniforms: { ...shared, pixels: { value: 2.2 } },
    vertexShader: /* glsl */ `${PLACE} uniform float pixels; attribute vec3 tint; varying vec3 colour;
      void main() { colour = tint; gl_PointSize = pixels; gl_Position = projectionMatrix * modelViewMatrix * vec4(placed(position), 1.0); }`,
    fragmentShader: "varying vec3 colour; void main() { gl_FragColor = vec4(colour, 1.0); }",
  })));
  if (count < 8000) {
    const falling = new BufferGeometry();
    falling.setAttribute("position", new Float32BufferAttribute(drop, 3));
    group.add(new LineSegments(falling, new ShaderMaterial({
      uniforms: shared, transparent: true, depthWrite: false,
      vertexShader: `${PLACE} void main() { gl_Position = projectionMatrix * modelViewMatrix * vec4(placed(position), 1.0); }`,
      fragmentShader: "void main() { gl_FragColor = vec4(0.04, 0.35, 0.6, 0.16); }",
    })));
  }
  return group;
}

function boxEdges() {
  const shape = new BufferGeometry(), at = [];
  for (const [a, b] of [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]])
    for (const k of [a, b]) at.push(k & 1, k >> 2, -((k >> 1) & 1));
  shape.setAttribute("position", new Float32BufferAttribute(at, 3));
  return shape;
}
