/* The matrix: its cells are one canvas, its headers and the active cell are elements, so that keyboard and screen
   readers have a real grid. Of a large cluster only what is in view is drawn. */
const grid = {
  element: null, size: 22, left: 190, top: 132, at: null, hovered: [-1, -1], pending: false, isStale: true,
  reveals: false, headersShown: "",
};

function buildMatrix() {
  const mark = (tone, words) => h("span", {}, h("span", { class: `iso ${tone}` }), words);
  grid.canvas = h("canvas", { "aria-hidden": "true" });
  grid.corner = h("div", { class: "corner", "aria-hidden": "true" }, h("span", { class: "to" }, "destination →"), h("span", { class: "from" }, "source ↓"),
    h("span", { class: "marks" }, mark("full", "isolated"), mark("part", "in part"), mark("none", "not isolated")));
  grid.columnRow = h("div", { role: "row", "aria-rowindex": 1 });
  grid.columnHeaders = h("div", { class: "columns", role: "rowgroup" }, grid.columnRow);
  grid.rowHeaders = h("div", { class: "rows", role: "rowgroup" });
  grid.cell = h("div", { class: "cell", id: "cell", role: "gridcell", tabindex: -1 });
  grid.cellRow = h("div", { role: "row" }, grid.cell);
  grid.layer = h("div", { class: "layer", role: "presentation" }, grid.canvas, grid.corner, grid.columnHeaders, grid.rowHeaders,
    h("div", { role: "rowgroup" }, grid.cellRow));
  grid.room = h("div", { class: "room", role: "presentation" });
  grid.element = h("div", { class: "matrix", role: "grid", id: "matrix", "aria-label": "Reachability: rows are sources, columns are destinations",
    "aria-describedby": "grid-hint" }, grid.layer, grid.room);
  listenToMatrix();
}

function listenToMatrix() {
  const { element, canvas } = grid;
  element.addEventListener("scroll", () => { hideTip(); schedule(); }, { passive: true });
  element.addEventListener("keydown", onMatrixKey);
  canvas.addEventListener("mousemove", (event) => hover(located(event)));
  canvas.addEventListener("mouseleave", () => hover(null));
  canvas.addEventListener("click", (event) => {
    const place = located(event);
    if (!place) return;
    focusAt(...place, false);
    select([rows[place[0]], columns[place[1]]]);
    grid.cell.focus({ preventScroll: true });
  });
  new ResizeObserver(() => schedule(true)).observe(element);
}

function located(event) {
  const box = grid.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  if (x < grid.left || y < grid.top) return null;
  const column = Math.floor((x - grid.left + grid.element.scrollLeft) / grid.size);
  const row = Math.floor((y - grid.top + grid.element.scrollTop) / grid.size);
  return row < rows.length && column < columns.length ? [row, column] : null;
}

function schedule(isStale) {
  grid.isStale ||= Boolean(isStale);
  if (grid.pending) return;
  grid.pending = true;
  requestAnimationFrame(() => {
    grid.pending = false;
    if (grid.element?.isConnected) drawMatrix();
  });
}

function cellSize() {
  const across = (grid.element.clientWidth - grid.left - 2) / Math.max(1, columns.length);
  const down = (grid.element.clientHeight - grid.top - 2) / Math.max(1, rows.length);
  if (view.size > 0) return view.size;
  if (view.size < 0) return Math.max(2, Math.min(26, Math.floor(Math.min(across, down))));
  return Math.max(16, Math.min(26, Math.floor(Math.min(across, down * 1.5))));
}

const nameLength = (item) => (item.peer < 0 ? model.namespace(item.group) : model.short(item.peer)).length;

function layOutMatrix(width, height) {
  const { element, layer, canvas, room } = grid;
  const px = (target, box) => { for (const [name, value] of Object.entries(box)) target.style[name] = `${value}px`; };
  grid.left = Math.min(230, Math.max(150, Math.max(8, ...rows.map((item) => nameLength(item) + (item.peer < 0 ? 0 : 2))) * 7 + 70));
  grid.top = Math.min(176, Math.max(110, Math.max(6, ...columns.map(nameLength)) * 7 + 44));
  grid.size = cellSize();
  px(layer, { width, height, marginBottom: -height });
  px(room, { width: grid.left + columns.length * grid.size + 1, height: grid.top + rows.length * grid.size + 1 });
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  px(canvas, { width, height });
  px(grid.corner, { width: grid.left, height: grid.top });
  px(grid.columnHeaders, { left: grid.left, width: width - grid.left, height: grid.top });
  px(grid.rowHeaders, { top: grid.top, height: height - grid.top, width: grid.left });
  element.setAttribute("aria-rowcount", rows.length + 1);
  element.setAttribute("aria-colcount", columns.length + 1);
  grid.isStale = false;
}

/* The part of the matrix that is in view. */
function windowOf(width, height) {
  const { size, left, top, element } = grid, { scrollLeft, scrollTop } = element;
  return {
    firstColumn: Math.max(0, Math.floor(scrollLeft / size)), lastColumn: Math.min(columns.length, Math.ceil((scrollLeft + width - left) / size)),
    firstRow: Math.max(0, Math.floor(scrollTop / size)), lastRow: Math.min(rows.length, Math.ceil((scrollTop + height - top) / size)),
    x: left - scrollLeft, y: top - scrollTop,
    right: Math.min(width, left - scrollLeft + columns.length * size), bottom: Math.min(height, top - scrollTop + rows.length * size),
  };
}

function drawMatrix() {
  const width = grid.element.clientWidth, height = grid.element.clientHeight;
  if (!width || !height) return;
  if (grid.isStale) layOutMatrix(width, height);
  if (grid.reveals) {
    grid.reveals = false;
    reveal(...grid.at);
  }
  const shown = windowOf(width, height), pen = grid.canvas.getContext("2d"), ratio = devicePixelRatio || 1;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colour.card;
  pen.fillRect(0, 0, width, height);
  pen.save();
  pen.beginPath();
  pen.rect(grid.left, grid.top, width - grid.left, height - grid.top);
  pen.clip();
  drawGround(pen, shown);
  drawCells(pen, shown);
  pen.restore();
  drawHeaders(shown);
  placeCell();
}

function drawGround(pen, shown) {
  const { size, left, top, hovered } = grid;
  const column = (place, name) => { pen.fillStyle = colour[name]; pen.fillRect(shown.x + place * size, top, size, shown.bottom - top); };
  const row = (place, name) => { pen.fillStyle = colour[name]; pen.fillRect(left, shown.y + place * size, shown.right - left, size); };
  for (let place = shown.firstColumn; place < shown.lastColumn; place++) if (columns[place].peer >= 0) column(place, "stripe");
  for (let place = shown.firstRow; place < shown.lastRow; place++) if (rows[place].peer >= 0) row(place, "stripe");
  if (hovered[0] >= 0) row(hovered[0], "accent-bg");
  if (hovered[1] >= 0) column(hovered[1], "accent-bg");
  if (size < 9) return;
  const lines = (name, isDrawn) => {
    pen.strokeStyle = colour[name];
    pen.lineWidth = 1;
    pen.beginPath();
    for (let place = shown.firstColumn; place <= shown.lastColumn; place++) {
      const x = Math.round(shown.x + place * size) + 0.5;
      if (isDrawn(columns, place)) { pen.moveTo(x, top); pen.lineTo(x, shown.bottom); }
    }
    for (let place = shown.firstRow; place <= shown.lastRow; place++) {
      const y = Math.round(shown.y + place * size) + 0.5;
      if (isDrawn(rows, place)) { pen.moveTo(left, y); pen.lineTo(shown.right, y); }
    }
    pen.stroke();
  };
  lines("hair", () => true);
  const isOpened = (axis, place) => axis[place]?.peer >= 0;
  lines("line", (axis, place) => axis[place]?.peer < 0 && (isOpened(axis, place + 1) || isOpened(axis, place - 1)));
}

function drawCells(pen, shown) {
  const narrowed = isNarrowed(), withChanges = Boolean(compared());
  for (let row = shown.firstRow; row < shown.lastRow; row++) {
    for (let column = shown.firstColumn; column < shown.lastColumn; column++) {
      const from = rows[row], to = columns[column], x = shown.x + column * grid.size, y = shown.y + row * grid.size;
      if ((from.peer >= 0 && from.peer === to.peer) || isBeyond(from, to)) {
        paintUnjudged(pen, x, y, grid.size);
        continue;
      }
      const cell = cellOf(from, to);
      pen.globalAlpha = narrowed && !cell.isHit ? 0.16 : 1;
      paintCell(pen, x, y, grid.size, cell, withChanges);
    }
  }
  pen.globalAlpha = 1;
}

function reveal(row, column) {
  const { size, left, top, element } = grid;
  if (column >= 0) {
    const x = column * size, room = element.clientWidth - left;
    if (x < element.scrollLeft) element.scrollLeft = x;
    else if (x + size > element.scrollLeft + room) element.scrollLeft = x + size - room + 1;
  }
  if (row >= 0) {
    const y = row * size, room = element.clientHeight - top;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + size > element.scrollTop + room) element.scrollTop = y + size - room + 1;
  }
}
