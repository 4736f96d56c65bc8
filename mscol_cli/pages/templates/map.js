"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const canvas = element("map"), pen = canvas.getContext("2d");

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

const count = data.names.length;
const places = new Uint16Array(bytes(data.positions)); // x, y of each clip
const near = new Uint32Array(bytes(data.neighbours)); // data.near numbers for each clip
const similarity = new Int16Array(bytes(data.similarities)); // in thousandths
const colourings = data.colourings.map((coloring) => (
  { ...coloring, members: new Uint8Array(bytes(coloring.members)) }
));
const lower = data.names.map((name) => name.toLowerCase());
// Drawn in a mixed order, so that no group covers the others.
const order = Uint32Array.from({ length: count }, (_, clip) => clip);
for (let clip = count - 1, state = 1; clip > 0; clip--) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  const other = state % (clip + 1);
  [order[clip], order[other]] = [order[other], order[clip]];
}

let coloring = colourings[0], hidden = new Set(), found = null, chosen = -1, hovered = -1;
let zoom = 1, left = 0, top = 0, width = 1, height = 1, ratio = 1, waiting = false, keyboard = false;

/* Shapes, in a box from -1 to 1, so that groups differ without colour, too. */
const SHAPES = [
  (p) => p.arc(0, 0, 0.85, 0, 2 * Math.PI),
  (p) => p.rect(-0.75, -0.75, 1.5, 1.5),
  (p) => polygon(p, [0, -1, 1, 0, 0, 1, -1, 0]),
  (p) => polygon(p, [0, -0.95, 0.95, 0.8, -0.95, 0.8]),
  (p) => polygon(p, [0, 0.95, 0.95, -0.8, -0.95, -0.8]),
  (p) => polygon(p, [-0.35, -1, 0.35, -1, 0.35, -0.35, 1, -0.35, 1, 0.35, 0.35, 0.35, 0.35, 1,
    -0.35, 1, -0.35, 0.35, -1, 0.35, -1, -0.35, -0.35, -0.35]),
  (p) => polygon(p, [-0.9, -0.5, -0.5, -0.9, 0, -0.4, 0.5, -0.9, 0.9, -0.5, 0.4, 0, 0.9, 0.5,
    0.5, 0.9, 0, 0.4, -0.5, 0.9, -0.9, 0.5, -0.4, 0]),
];

function polygon(path, corners) {
  path.moveTo(corners[0], corners[1]);
  for (let at = 2; at < corners.length; at += 2) path.lineTo(corners[at], corners[at + 1]);
  path.closePath();
}

function sprite(color, shape, radius, edge) {
  const image = document.createElement("canvas"), side = 2 * Math.ceil(radius + 1);
  image.width = image.height = side;
  const brush = image.getContext("2d", { willReadFrequently: true });
  brush.translate(side / 2, side / 2);
  brush.scale(radius, radius);
  brush.beginPath();
  SHAPES[shape](brush);
  brush.fillStyle = color;
  brush.fill();
  if (edge) {
    brush.strokeStyle = edge;
    brush.lineWidth = 1 / radius;
    brush.stroke();
  }
  return image;
}

/* Points are stamped into an array of pixels: thousands of calls of drawImage would stutter without
a fast graphics card. The array is larger than the canvas by a margin, so that stamps need no clipping. */
let frame = null, pixels = null, stride = 0, margin = 0, stamps = [], pale = [];
const LARGEST = 18; // pixels, the largest radius of a point
const made = new Map(); // stamps by radius and colouring

function refreshFrame() {
  margin = 2 * (LARGEST + 2);
  stride = canvas.width + 2 * margin;
  frame = pen.createImageData(stride, canvas.height + 2 * margin);
  pixels = new Uint32Array(frame.data.buffer);
  made.clear();
}

function refreshStamps(radius) {
  const key = `${radius} ${colourings.indexOf(coloring)}`;
  if (!made.has(key)) {
    const sprites = coloring.groups.map((group) => sprite(group.color, group.shape, radius, "#fff"));
    made.set(key, [1, 0.15].map((strength) => sprites.map((image) => stamp(image, strength))));
  }
  [stamps, pale] = made.get(key);
}

/* The pixels of a sprite, mixed with white: where they are, their colour and their opacity. */
function stamp(image, strength) {
  const { width: side, height } = image, half = side / 2;
  const { data: own } = image.getContext("2d").getImageData(0, 0, side, height);
  const where = [], colors = [], opacity = [];
  for (let pixel = 0; pixel < side * height; pixel++) {
    if (own[4 * pixel + 3] < 8) continue;
    where.push((Math.floor(pixel / side) - half) * stride + (pixel % side) - half);
    const [red, green, blue] = [0, 1, 2].map((channel) => (
      Math.round(255 + (own[4 * pixel + channel] - 255) * strength)
    ));
    colors.push(red | (green << 8) | (blue << 16) | (255 << 24));
    opacity.push(Math.round((own[4 * pixel + 3] * 256) / 255));
  }
  return { where: Int32Array.from(where), colors: Int32Array.from(colors), opacity: Int32Array.from(opacity) };
}

function put(one, at) {
  const { where, colors, opacity } = one;
  for (let pixel = 0; pixel < where.length; pixel++) {
    const to = at + where[pixel], color = colors[pixel], share = opacity[pixel];
    if (share >= 256) {
      pixels[to] = color;
      continue;
    }
    // Red and blue at once, then green, each weighted in steps of 1/256.
    const under = pixels[to], rest = 256 - share;
    const outer = Math.imul(under & 0xff00ff, rest) + Math.imul(color & 0xff00ff, share);
    const inner = Math.imul(under & 0xff00, rest) + Math.imul(color & 0xff00, share);
    pixels[to] = ((outer >>> 8) & 0xff00ff) | ((inner >>> 8) & 0xff00) | 0xff000000;
  }
}

/* Pixels on the screen of a clip; the square map fits the smaller side of the canvas. */
const side = () => Math.min(width, height) * 0.94;
const sx = (clip) => left + (places[2 * clip] / 65535) * zoom * side();
const sy = (clip) => top + (places[2 * clip + 1] / 65535) * zoom * side();

function showAll() {
  zoom = 1;
  left = (width - side()) / 2;
  top = (height - side()) / 2;
  redraw();
}

function zoomAt(factor, x, y) {
  const next = Math.min(400, Math.max(0.5, zoom * factor));
  left = x - ((x - left) * next) / zoom;
  top = y - ((y - top) * next) / zoom;
  zoom = next;
  redraw();
}

function pan(dx, dy) {
  left += dx;
  top += dy;
  redraw();
}

const isShown = (clip) => !hidden.has(coloring.members[clip]);

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const base = count > 5000 ? 2.6 : count > 500 ? 3.6 : 5.5;
  const radius = Math.round(ratio * Math.min(9, base * Math.max(0.8, zoom ** 0.4)) * 2) / 2;
  refreshStamps(radius);
  pixels.fill(0xffffffff);
  // Matches of a search are drawn last and in full.
  if (found) drawPoints(0, pale);
  drawPoints(1, stamps);
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.putImageData(frame, -margin, -margin);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawSelection(radius / ratio);
  if (keyboard) drawCentre();
}

function drawPoints(pass, images) {
  const scale = (zoom * side() * ratio) / 65535, x0 = left * ratio, y0 = top * ratio;
  const edge = margin / 2, right = canvas.width + edge, bottom = canvas.height + edge;
  const some = hidden.size > 0, members = coloring.members;
  for (let row = 0; row < count; row++) {
    const clip = order[row];
    if (found && found[clip] !== pass) continue;
    const x = Math.round(x0 + places[2 * clip] * scale);
    const y = Math.round(y0 + places[2 * clip + 1] * scale);
    if (x < -edge || y < -edge || x > right || y > bottom) continue;
    if (some && hidden.has(members[clip])) continue;
    put(images[members[clip]], (y + margin) * stride + x + margin);
  }
}

function drawSelection(radius) {
  if (chosen < 0) return;
  const clips = neighboursOf(chosen);
  pen.strokeStyle = "#1a1a1a";
  pen.lineWidth = 1;
  pen.beginPath();
  for (const clip of clips) {
    pen.moveTo(sx(chosen), sy(chosen));
    pen.lineTo(sx(clip), sy(clip));
  }
  pen.stroke();
  for (const clip of clips) drawOne(clip, radius + 1);
  drawOne(chosen, radius + 4);
  pen.font = "13px system-ui, sans-serif";
  pen.textBaseline = "middle";
  label(chosen, radius + 8);
}

function drawOne(clip, radius) {
  const group = coloring.groups[coloring.members[clip]];
  const image = sprite(group.color, group.shape, radius * ratio, "#1a1a1a");
  const size = image.width / ratio;
  pen.drawImage(image, sx(clip) - size / 2, sy(clip) - size / 2, size, size);
}

function label(clip, away) {
  const name = shortened(data.names[clip]), wide = pen.measureText(name).width;
  const x = Math.max(4, Math.min(width - wide - 4, sx(clip) - wide / 2));
  const y = sy(clip) > away + 24 ? sy(clip) - away - 10 : sy(clip) + away + 10;
  pen.fillStyle = "rgba(255, 255, 255, 0.9)";
  pen.fillRect(x - 3, y - 10, wide + 6, 20);
  pen.fillStyle = "#1a1a1a";
  pen.fillText(name, x, y);
}

/* Names mostly differ at their ends. */
function shortened(name) {
  return name.length > 44 ? `${name.slice(0, 18)}\u2026${name.slice(-25)}` : name;
}

function drawCentre() {
  pen.strokeStyle = "#d55e00";
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(width / 2 - 10, height / 2);
  pen.lineTo(width / 2 + 10, height / 2);
  pen.moveTo(width / 2, height / 2 - 10);
  pen.lineTo(width / 2, height / 2 + 10);
  pen.stroke();
}

function neighboursOf(clip) {
  const own = near.subarray(clip * data.near, (clip + 1) * data.near);
  return Array.from(own).filter((other) => other < count);
}

/* The clip nearest to a place; during a search, a match within reach is preferred. */
function clipAt(x, y, reach) {
  const match = found ? nearestAt(x, y, reach, (clip) => found[clip] && isShown(clip)) : -1;
  return match < 0 ? nearestAt(x, y, reach, isShown) : match;
}

function nearestAt(x, y, reach, accept) {
  let best = -1, distance = reach * reach;
  for (let clip = 0; clip < count; clip++) {
    const apart = (sx(clip) - x) ** 2 + (sy(clip) - y) ** 2;
    if (apart <= distance && accept(clip)) [best, distance] = [clip, apart];
  }
  return best;
}

/* The panel. Names are only ever set as text, never as markup. */

function text(name, content, className) {
  const made = document.createElement(name);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

function clipButton(clip, ...more) {
  const item = document.createElement("li"), button = document.createElement("button");
  button.type = "button";
  button.append(text("span", data.names[clip]), ...more);
  button.addEventListener("click", () => select(clip, { move: true, focus: true, play: true }));
  item.append(button);
  return item;
}

function select(clip, { move = false, focus = false, play = false } = {}) {
  chosen = clip;
  const panel = element("selected"), heading = panel.querySelector("h2");
  panel.hidden = clip < 0;
  if (clip < 0) {
    sound(-1, false);
    redraw();
    return;
  }
  heading.textContent = data.names[clip];
  panel.querySelector("dl").replaceChildren(...colourings.flatMap((one) => [
    text("dt", one.name), text("dd", one.groups[one.members[clip]].name),
  ]));
  panel.querySelector("ol").replaceChildren(...neighboursOf(clip).map((other, rank) => clipButton(
    other, text("span", (similarity[clip * data.near + rank] / 1000).toFixed(3), "similarity"),
  )));
  element("status").textContent = `Selected ${data.names[clip]}`;
  sound(clip, play);
  if (move) bringIntoView(clip);
  if (focus) heading.focus({ preventScroll: false });
  redraw();
}

function sound(clip, play) {
  const player = element("selected").querySelector("audio"), problem = element("problem");
  const link = clip >= 0 && data.links ? data.links.names[clip] : "";
  player.pause();
  player.hidden = !link;
  problem.hidden = true;
  if (!link) {
    player.removeAttribute("src");
    return;
  }
  player.setAttribute("aria-label", `Play ${data.names[clip]}`);
  player.src = data.links.base + link;
  player.onerror = () => {
    problem.textContent = "The audio cannot be played here: the file may have moved, or the browser"
      + " may not know its format.";
    problem.hidden = false;
  };
  if (play) player.play().catch(() => {});
}

function bringIntoView(clip) {
  const margin = 40, x = sx(clip), y = sy(clip);
  if (x > margin && y > margin && x < width - margin && y < height - margin) return;
  left += width / 2 - x;
  top += height / 2 - y;
}

const LISTED = 50;

function search() {
  const wanted = element("text").value.trim().toLowerCase(), clips = [];
  found = wanted ? new Uint8Array(count) : null;
  for (let clip = 0; wanted && clip < count; clip++) {
    if (lower[clip].includes(wanted)) {
      found[clip] = 1;
      clips.push(clip);
    }
  }
  const more = clips.length > LISTED ? `, of which ${LISTED} are listed` : "";
  const line = clips.length === 1 ? "1 match" : `${clips.length} matches${more}`;
  element("results").hidden = !wanted;
  element("matches").textContent = line;
  element("status").textContent = wanted ? line : "";
  const items = clips.slice(0, LISTED).map((clip) => clipButton(clip));
  element("results").querySelector("ol").replaceChildren(...items);
  redraw();
  return clips;
}

function choose(number) {
  coloring = colourings[number];
  hidden = new Set();
  element("legend").replaceChildren(...coloring.groups.map(legendItem));
  redraw();
}

function legendItem(group, number) {
  const item = document.createElement("li"), button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "true");
  const image = sprite(group.color, group.shape, 16, "");
  image.setAttribute("aria-hidden", "true");
  button.append(image, text("span", group.name), text("span", String(group.count), "similarity"));
  button.addEventListener("click", () => {
    if (!hidden.delete(number)) hidden.add(number);
    button.setAttribute("aria-pressed", String(!hidden.has(number)));
    redraw();
  });
  item.append(button);
  return item;
}

function resize() {
  const fresh = width === 1, before = [width, height];
  ratio = Math.min(2, devicePixelRatio || 1);
  [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  refreshFrame();
  if (fresh || zoom === 1) showAll();
  else pan((width - before[0]) / 2, (height - before[1]) / 2);
}

/* Mouse, touch and keys. */

const pointers = new Map();
let moved = 0;

const at = (event) => [event.offsetX, event.offsetY];

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  keyboard = false;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  if (pointers.size === 1) moved = 0;
});

canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId), now = at(event);
  if (!before) {
    hover(...now);
    return;
  }
  const other = [...pointers].find(([id]) => id !== event.pointerId);
  pointers.set(event.pointerId, now);
  moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
  if (other) {
    const [x, y] = other[1];
    const was = Math.hypot(before[0] - x, before[1] - y), is = Math.hypot(now[0] - x, now[1] - y);
    if (was > 0) zoomAt(is / was, (now[0] + x) / 2, (now[1] + y) / 2);
  }
  pan((now[0] - before[0]) / pointers.size, (now[1] - before[1]) / pointers.size);
});

canvas.addEventListener("pointerup", (event) => {
  if (pointers.size === 1 && moved < 6) {
    select(clipAt(...at(event), event.pointerType === "touch" ? 24 : 12), { play: true });
  }
  pointers.delete(event.pointerId);
});
canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => hover(-1e6, 0));

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(Math.exp(-Math.max(-200, Math.min(200, event.deltaY)) / 400), ...at(event));
}, { passive: false });

function hover(x, y) {
  const clip = clipAt(x, y, 10), tip = element("hover");
  if (clip === hovered) return;
  hovered = clip;
  tip.hidden = clip < 0;
  if (clip < 0) return;
  tip.textContent = shortened(data.names[clip]);
  const flip = sx(clip) > width - 200;
  tip.style.transform = `translate(${sx(clip) + (flip ? -12 : 12)}px, ${sy(clip) + 12}px)`
    + (flip ? " translateX(-100%)" : "");
}

const STEP = 60;
const KEYS = {
  ArrowLeft: () => pan(STEP, 0),
  ArrowRight: () => pan(-STEP, 0),
  ArrowUp: () => pan(0, STEP),
  ArrowDown: () => pan(0, -STEP),
  "+": () => zoomAt(1.3, width / 2, height / 2),
  "=": () => zoomAt(1.3, width / 2, height / 2),
  "-": () => zoomAt(1 / 1.3, width / 2, height / 2),
  0: showAll,
  Enter: () => select(clipAt(width / 2, height / 2, Infinity), { focus: true, play: true }),
};

canvas.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keyboard = true;
  act();
});
canvas.addEventListener("focus", () => {
  keyboard = canvas.matches(":focus-visible");
  redraw();
});
canvas.addEventListener("blur", () => { keyboard = false; redraw(); });

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  element("text").value = "";
  search();
  select(-1);
});

element("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const [first] = search();
  if (first !== undefined) select(first, { move: true, focus: true, play: true });
});
element("text").addEventListener("input", search);
element("closer").addEventListener("click", () => zoomAt(1.5, width / 2, height / 2));
element("farther").addEventListener("click", () => zoomAt(1 / 1.5, width / 2, height / 2));
element("all").addEventListener("click", showAll);
element("colouring").append(...colourings.map((one, number) => {
  const option = text("option", one.name);
  option.value = String(number);
  return option;
}));
element("colouring").addEventListener("change", (event) => choose(Number(event.target.value)));
new ResizeObserver(resize).observe(canvas);
resize();
choose(0);
})();
