/* Draws one cell. Shape carries the meaning and colour repeats it: hollow for some ports, solid for every port, size
   for the share of the pairs, a dot where something requires it, a cross where that is denied, and a bar on the side
   that denies: left for the source's egress, on top for the destination's ingress. */
const FONT = "system-ui, sans-serif";
const COLOURS = ["card", "ink", "soft", "line", "hair", "allow", "need", "need-on", "cut", "cut-ink", "wall", "gain", "lost", "unknown", "accent-bg", "stripe"];
let colour = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colour = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function roundedBox(pen, x, y, width, height, radius = 2) {
  pen.beginPath();
  pen.roundRect(x, y, width, height, Math.min(radius, width / 2));
}

function paintCell(pen, x, y, size, cell, withChanges, hidden = view.hidden) {
  if (size < 9) {
    paintPixel(pen, x, y, size, cell, withChanges, hidden);
    return;
  }
  const margin = 1.5, cx = x + size / 2, cy = y + size / 2;
  if (cell.allowed && (!hidden.has("excess") || cell.needed)) paintAllowed(pen, cx, cy, size, size - 2 * margin, cell);
  if (cell.needed && !cell.cut && !hidden.has("need")) paintDot(pen, cx, cy, size, cell);
  if (cell.unknown && !cell.cut && !hidden.has("unknown")) paintQuestion(pen, cx, cy, size);
  if (cell.cut && !hidden.has("cut")) paintCut(pen, x, y, size, margin, cell);
  if (withChanges && (cell.gained || cell.lost)) paintChange(pen, x, y, size, margin, cell);
}

function paintPixel(pen, x, y, size, cell, withChanges, hidden) {
  const margin = size >= 5 ? 0.5 : 0;
  const fill = (name, inset, alpha = 1) => {
    const before = pen.globalAlpha;
    pen.globalAlpha = before * alpha;
    pen.fillStyle = colour[name];
    pen.fillRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
    pen.globalAlpha = before;
  };
  if (cell.allowed && !hidden.has("excess")) fill("allow", margin, cell.wide ? 1 : 0.5);
  if (cell.unknown && !hidden.has("unknown")) fill("unknown", margin);
  if (withChanges && (cell.gained || cell.lost)) fill(cell.lost ? "lost" : "gain", 0);
  if (cell.cut && !hidden.has("cut")) fill("cut", 0);
}

function paintAllowed(pen, cx, cy, size, room, cell) {
  const share = cell.pairs ? cell.allowed / cell.pairs : 1;
  const width = room * (share > 0.99 ? 1 : share >= 0.4 ? 0.78 : 0.56);
  if (cell.wide) {
    pen.fillStyle = colour.allow;
    roundedBox(pen, cx - width / 2, cy - width / 2, width, width);
    pen.fill();
    return;
  }
  const line = size >= 16 ? 1.75 : 1.25, inner = width - line - 1.5;
  pen.strokeStyle = colour.allow;
  pen.lineWidth = line;
  roundedBox(pen, cx - inner / 2, cy - inner / 2, inner, inner);
  pen.stroke();
}

function paintDot(pen, cx, cy, size, cell) {
  pen.fillStyle = cell.wide ? colour["need-on"] : colour.need;
  pen.beginPath();
  pen.arc(cx, cy, Math.max(2, size * 0.13), 0, 7);
  pen.fill();
}

function paintQuestion(pen, cx, cy, size) {
  const width = size * 0.68;
  pen.fillStyle = colour.card;
  roundedBox(pen, cx - width / 2, cy - width / 2, width, width, width / 2);
  pen.fill();
  pen.fillStyle = colour.unknown;
  pen.font = `700 ${Math.round(size * 0.62)}px ${FONT}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText("?", cx, cy + size * 0.04);
}

function paintCut(pen, x, y, size, margin, cell) {
  const cx = x + size / 2, cy = y + size / 2, reach = size * 0.19, bar = Math.max(2, Math.round(size * 0.12));
  pen.fillStyle = colour.cut;
  roundedBox(pen, x + margin, y + margin, size - 2 * margin, size - 2 * margin);
  pen.fill();
  pen.strokeStyle = colour["cut-ink"];
  pen.lineWidth = Math.max(1.5, size * 0.1);
  pen.lineCap = "round";
  pen.beginPath();
  pen.moveTo(cx - reach, cy - reach);
  pen.lineTo(cx + reach, cy + reach);
  pen.moveTo(cx + reach, cy - reach);
  pen.lineTo(cx - reach, cy + reach);
  pen.stroke();
  pen.lineCap = "butt";
  pen.fillStyle = colour.wall;
  if (cell.egress) pen.fillRect(x + 0.5, y + 0.5, bar, size - 1);
  if (cell.ingress) pen.fillRect(x + 0.5, y + 0.5, size - 1, bar);
}

/* A pair that lost all is a dashed box; else a corner with plus or minus. */
function paintChange(pen, x, y, size, margin, cell) {
  const cx = x + size / 2, cy = y + size / 2;
  if (cell.lost && !cell.allowed && !cell.cut) {
    const width = size - 2 * margin - 2;
    pen.strokeStyle = colour.lost;
    pen.lineWidth = 1.5;
    pen.setLineDash([2.5, 2]);
    roundedBox(pen, cx - width / 2, cy - width / 2, width, width);
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(cx - size * 0.18, cy);
    pen.lineTo(cx + size * 0.18, cy);
    pen.stroke();
    return;
  }
  const width = Math.min(11, size * 0.5), left = x + size - width - 1, top = y + size - width - 1;
  pen.fillStyle = cell.lost && cell.gained ? colour.ink : cell.lost ? colour.lost : colour.gain;
  roundedBox(pen, left, top, width, width);
  pen.fill();
  pen.strokeStyle = colour.card;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(left + 2, top + width / 2);
  pen.lineTo(left + width - 2, top + width / 2);
  if (cell.gained) {
    pen.moveTo(left + width / 2, top + 2);
    pen.lineTo(left + width / 2, top + width - 2);
  }
  pen.stroke();
}

/* Where nothing is judged: a workload and itself, two peers outside. */
function paintUnjudged(pen, x, y, size) {
  if (size < 9) return;
  pen.strokeStyle = colour.line;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(x + size * 0.3, y + size * 0.7);
  pen.lineTo(x + size * 0.7, y + size * 0.3);
  pen.stroke();
}
