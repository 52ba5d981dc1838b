/* The names along the matrix, and the active cell; both are elements, and one of them has the focus. */
let cutsKnown = null;

function cutsAt(side, item) {
  if (cutsKnown?.version !== version) {
    cutsKnown = { version, source: new Map(), destination: new Map() };
    for (const flow of current().flows) {
      if (!flow.isCut || !isShown(flow)) continue;
      for (const end of ["source", "destination"]) {
        for (const key of [flow[end], -1 - model.home[flow[end]]]) cutsKnown[end].set(key, (cutsKnown[end].get(key) || 0) + 1);
      }
    }
  }
  return cutsKnown[side].get(item.peer >= 0 ? item.peer : -1 - item.group) || 0;
}

function isolationAt(item, side) {
  if (item.peer < 0) return isolation[item.group][side];
  if (model.isOutside(item.peer) || model.isHostNetwork(item.peer) || !current().has(item.peer)) return "unknown";
  return current().isIsolated(SIDES[side], item.peer) ? "full" : "none";
}

function headerWords(item, isRow, cuts, tone) {
  const isNamespace = item.peer < 0 && item.group !== model.outside;
  const parts = [`${isNamespace ? "namespace " : ""}${model.label(item)}`];
  if (isNamespace) parts.push(plural(model.members[item.group].length, "workload"));
  if (tone !== "unknown") parts.push(`traffic ${isRow ? "leaving" : "entering"} it is ${ISOLATION[tone]}`);
  if (cuts) parts.push(`${plural(cuts, "required flow")} cut`);
  return parts.join(", ");
}

function header(item, isRow, place) {
  const isGroup = item.peer < 0, isOpen = isGroup && view.open.has(item.group);
  const cuts = cutsAt(isRow ? "source" : "destination", item), tone = isolationAt(item, isRow ? 0 : 1);
  const element = h("div", {
    class: `header ${isGroup ? "group" : "peer"}${item.group === model.outside ? " outside" : ""}`,
    role: isRow ? "rowheader" : "columnheader", "aria-label": headerWords(item, isRow, cuts, tone),
    "aria-expanded": isGroup ? String(isOpen) : null, tabindex: -1, title: model.label(item),
  });
  const twist = h("span", { class: "twist", "aria-hidden": "true" }, isGroup ? (isOpen ? "▼" : "▶") : "");
  const name = h("span", { class: "name" }, isGroup ? model.namespace(item.group) : model.short(item.peer));
  const count = h("span", { class: "count" }, cuts ? num(cuts) : ""), mark = h("span", { class: `iso ${tone === "unknown" ? "blank" : tone}` });
  element.append(...(isRow ? [twist, name, h("span", { class: "spring" }), count, mark] : [h("span", { class: "turned" }, mark, count, name)]));
  const here = isRow ? [place, -1] : [-1, place];
  element.addEventListener("click", (event) => {
    focusAt(...here);
    if (isGroup && event.target.closest(".twist")) toggle(item.group);
    else select([item]);
  });
  element.addEventListener("dblclick", () => { if (isGroup) toggle(item.group); });
  element.addEventListener("mouseenter", () => { grid.hovered = here; schedule(); });
  element.addEventListener("mouseleave", () => { grid.hovered = [-1, -1]; schedule(); });
  return element;
}

/* Where cells are small, names are thinned out; the active and the hovered one push their neighbours aside. */
function isNamed(place, axis, step) {
  const marked = [grid.at[axis], grid.hovered[axis]];
  if (marked.includes(place) || step === 1) return true;
  return place % step === 0 && marked.every((other) => other < 0 || Math.abs(place - other) >= step);
}

function drawHeaders(shown) {
  const step = grid.size >= 11 ? 1 : Math.ceil(13 / grid.size);
  const marked = step > 1 ? [...grid.at, ...grid.hovered] : [];
  const key = [shown.firstRow, shown.lastRow, shown.firstColumn, shown.lastColumn, grid.size, version, ...marked].join();
  if (key !== grid.headersShown) {
    grid.headersShown = key;
    const hadFocus = document.activeElement?.classList.contains("header");
    fillHeaders(shown, step);
    if (hadFocus) focusAt(...grid.at, true, true);
  }
  const type = grid.size < 13 ? 10.5 : Math.max(11, Math.min(12.5, grid.size * 0.62)), room = Math.max(grid.size, 13);
  const shift = grid.size < 13 ? (grid.size - 13) / 2 : 0;
  for (const line of grid.rowHeaders.children) {
    const element = line.firstChild, place = Number(line.dataset.place);
    Object.assign(element.style, { height: `${room}px`, fontSize: `${type}px`, transform: `translateY(${place * grid.size - grid.element.scrollTop + shift}px)` });
    mark(element, place === grid.hovered[0], place === grid.at[0] && grid.at[1] < 0);
  }
  for (const element of grid.columnRow.children) {
    const place = Number(element.dataset.place);
    Object.assign(element.style, { width: `${room}px`, height: `${grid.top}px`, fontSize: `${type}px`, transform: `translateX(${place * grid.size - grid.element.scrollLeft + shift}px)` });
    mark(element, place === grid.hovered[1], place === grid.at[1] && grid.at[0] < 0);
  }
}

function mark(element, isHovered, isActive) {
  element.classList.toggle("hovered", isHovered);
  element.tabIndex = isActive ? 0 : -1;
}

function fillHeaders(shown, step) {
  const lines = [], heads = [];
  for (let place = shown.firstRow; place < shown.lastRow; place++) {
    if (!isNamed(place, 0, step)) continue;
    const line = h("div", { role: "row", "aria-rowindex": place + 2 }, header(rows[place], true, place));
    line.dataset.place = place;
    lines.push(line);
  }
  for (let place = shown.firstColumn; place < shown.lastColumn; place++) {
    if (!isNamed(place, 1, step)) continue;
    const head = header(columns[place], false, place);
    head.setAttribute("aria-colindex", place + 2);
    head.dataset.place = place;
    heads.push(head);
  }
  grid.rowHeaders.replaceChildren(...lines);
  grid.columnRow.replaceChildren(...heads);
}

function placeCell() {
  const [row, column] = grid.at, { cell, cellRow, element } = grid;
  const isThere = row >= 0 && column >= 0 && row < rows.length && column < columns.length;
  cell.hidden = cellRow.hidden = !isThere;
  if (!isThere) {
    cell.tabIndex = -1;
    return;
  }
  const x = grid.left + column * grid.size - element.scrollLeft, y = grid.top + row * grid.size - element.scrollTop;
  const isAway = x < grid.left - 1 || y < grid.top - 1 || x > element.clientWidth || y > element.clientHeight;
  Object.assign(cell.style, { width: `${grid.size + 1}px`, height: `${grid.size + 1}px`, opacity: isAway ? 0 : 1, transform: `translate(${x}px, ${y}px)` });
  cell.tabIndex = 0;
  cellRow.setAttribute("aria-rowindex", row + 2);
  cell.setAttribute("aria-colindex", column + 2);
  cell.setAttribute("aria-label", sentence(rows[row], columns[column]));
  const [from, to] = view.selected || [], holds = (item, shown) => item.group === shown.group && (shown.peer < 0 || item.peer === shown.peer);
  cell.classList.toggle("selected", Boolean(to) && holds(from, rows[row]) && holds(to, columns[column]));
}

function focusAt(row, column, focuses = true, isStill = false) {
  let [y, x] = [Math.max(-1, Math.min(rows.length - 1, row)), Math.max(-1, Math.min(columns.length - 1, column))];
  if (y < 0 && x < 0) x = 0;
  grid.at = [y, x];
  if (!isStill) {
    reveal(y, x);
    drawMatrix();
  }
  if (!focuses) return;
  const lines = [...grid.rowHeaders.children], heads = [...grid.columnRow.children];
  const isAt = (place) => (element) => Number(element.dataset.place) === place;
  const target = y >= 0 && x >= 0 ? grid.cell : x < 0 ? lines.find(isAt(y))?.firstChild : heads.find(isAt(x));
  target?.focus({ preventScroll: true });
}
