/* A cell in words: for screen readers, and for the tip beside the pointer. */
function cellWords(from, to) {
  if (from.peer >= 0 && isSame(from, to)) return ["a workload to itself is not judged here"];
  if (isBeyond(from, to)) return ["no policy governs what is outside"];
  const cell = cellOf(from, to), parts = [];
  if (cell.cut) parts.push(`${plural(cell.cut, "required flow")} cut, by ${denyingSide(cell)}`);
  if (cell.unknown) parts.push(`${plural(cell.unknown, "required flow")} not known`);
  if (cell.needed) parts.push(`${plural(cell.needed, "required flow")} allowed`);
  parts.push(allowedWords(from, to, cell));
  if (cell.allowed && !flowCount(cell)) parts.push("nothing requires it");
  if (cell.lost) parts.push(`${plural(cell.lost, "pair")} lost`);
  if (cell.gained) parts.push(`${plural(cell.gained, "pair")} gained`);
  return parts;
}

function denyingSide(cell) {
  if (cell.egress && cell.ingress) return "both sides";
  return cell.egress ? "the source's egress" : "the destination's ingress";
}

function allowedWords(from, to, cell) {
  if (!cell.allowed) return "nothing is allowed";
  if (from.peer >= 0 && to.peer >= 0) return `allowed: ${model.ports.text(current().allowed(from.peer, to.peer))}`;
  const width = cell.wide === cell.allowed ? "on every port" : cell.wide ? `${num(cell.wide)} on every port` : "on some ports";
  return `${num(cell.allowed)} of ${plural(cell.pairs, "pair")} allowed, ${width}`;
}

const sentence = (from, to) => `${model.label(from)} to ${model.label(to)}: ${cellWords(from, to).join("; ")}`;

let tipShown = "";

function hover(place) {
  const hovered = place || [-1, -1];
  if (hovered[0] !== grid.hovered[0] || hovered[1] !== grid.hovered[1]) {
    grid.hovered = hovered;
    schedule();
  }
  if (place) showTip(place);
  else hideTip();
}

function showTip([row, column]) {
  const from = rows[row], to = columns[column], tip = $("tip"), shown = `${row}:${column}:${version}`;
  if (shown !== tipShown) {
    tipShown = shown;
    tip.replaceChildren(h("b", {}, `${model.label(from)} → ${model.label(to)}`), ...cellWords(from, to).map((part) => h("span", {}, capital(part))));
  }
  tip.hidden = false;
  const box = grid.canvas.getBoundingClientRect();
  const x = box.left + grid.left + (column + 1) * grid.size - grid.element.scrollLeft + 6;
  const y = box.top + grid.top + (row + 1) * grid.size - grid.element.scrollTop + 6;
  const isRight = x + tip.offsetWidth > innerWidth - 8, isLow = y + tip.offsetHeight > innerHeight - 8;
  tip.style.left = `${isRight ? Math.max(8, x - tip.offsetWidth - grid.size - 12) : x}px`;
  tip.style.top = `${isLow ? y - tip.offsetHeight - grid.size - 12 : y}px`;
}

function hideTip() {
  $("tip").hidden = true;
  tipShown = "";
}
