/* The keyboard. Single keys count only while the matrix has the focus. */
const SIZES = [2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 30, 34];

function destinationOf(event) {
  const [row, column] = grid.at, page = Math.max(1, Math.floor((grid.element.clientHeight - grid.top) / grid.size) - 1);
  switch (event.key) {
    case "ArrowUp": return [row - 1, column];
    case "ArrowDown": return [row + 1, column];
    case "ArrowLeft": return [row, column - 1];
    case "ArrowRight": return [row, column + 1];
    case "PageUp": return [row - page, column];
    case "PageDown": return [row + page, column];
    case "Home": return event.ctrlKey ? [0, 0] : [row, 0];
    case "End": return event.ctrlKey ? [rows.length - 1, columns.length - 1] : [row, columns.length - 1];
    default: return null;
  }
}

function onMatrixKey(event) {
  if (event.altKey || event.metaKey) return;
  const target = destinationOf(event);
  if (target) {
    const [row, column] = grid.at;
    focusAt(target[0] < 0 && column < 0 ? 0 : target[0], target[1] < 0 && row < 0 ? 0 : target[1]);
    grid.hovered = [...grid.at];
    schedule();
  } else if (event.ctrlKey || !MATRIX_KEYS[event.key]) {
    return;
  } else {
    MATRIX_KEYS[event.key]();
  }
  event.preventDefault();
}

const MATRIX_KEYS = {
  Enter: openActive,
  " ": toggleActive,
  n: () => goToCut(1),
  p: () => goToCut(-1),
  "+": () => zoom(1),
  "=": () => zoom(1),
  "-": () => zoom(-1),
  0: () => { view.size = 0; refresh(); },
  "/": () => $("search").focus(),
  "?": openHelp,
};

/* The item of the header that has the focus; none where a cell has it. */
function activeHeader() {
  const [row, column] = grid.at;
  return column < 0 ? rows[row] : row < 0 ? columns[column] : null;
}

function openActive() {
  const item = activeHeader();
  select(item ? [item] : [rows[grid.at[0]], columns[grid.at[1]]], true);
}

function toggleActive() {
  const item = activeHeader();
  if (item) {
    if (item.peer < 0) toggle(item.group);
    return;
  }
  const groups = new Set([rows[grid.at[0]].group, columns[grid.at[1]].group]);
  for (const group of groups) if (!view.open.has(group)) toggle(group);
}

/* Opens or closes a namespace; the focus stays where its name is, or at the namespace that swallowed it. */
function toggle(group) {
  const active = [rows[grid.at[0]], columns[grid.at[1]]];
  if (view.open.has(group)) view.open.delete(group);
  else view.open.add(group);
  const hadFocus = grid.element.contains(document.activeElement);
  refresh();
  grid.at = placeOf(active);
  if (hadFocus) focusAt(...grid.at);
  const isOpen = view.open.has(group), count = model.members[group].length;
  say(`${model.namespace(group)} ${isOpen ? `opened, ${plural(count, group === model.outside ? "peer" : "workload")}` : "closed"}`);
}

/* Where items are now; a workload whose namespace is closed is at its namespace. */
function placeOf([from, to]) {
  const find = (axis, item) => {
    if (!item) return -1;
    const exact = axis.findIndex((other) => isSame(other, item));
    return exact >= 0 ? exact : axis.findIndex((other) => other.group === item.group && other.peer < 0);
  };
  const found = [find(rows, from), find(columns, to)];
  return found[0] < 0 && found[1] < 0 ? firstPlace() : found;
}

/* Where the keyboard starts: at the first cut, else at the first pair that policies govern. */
function firstPlace() {
  for (let row = 0; row < rows.length; row++) {
    for (let column = 0; column < columns.length; column++) {
      const isInside = rows[row].group !== model.outside && columns[column].group !== model.outside;
      if (isInside && cellOf(rows[row], columns[column]).cut) return [row, column];
    }
  }
  const inside = (axis) => Math.max(0, axis.findIndex((item) => item.group !== model.outside));
  return [inside(rows), inside(columns)];
}

function goToCut(step) {
  const count = rows.length * columns.length, start = Math.max(0, grid.at[0]) * columns.length + Math.max(0, grid.at[1]);
  const isOpened = (item) => item.peer < 0 && view.open.has(item.group);
  for (let offset = 1; offset <= count; offset++) {
    const place = (((start + step * offset) % count) + count) % count;
    const row = Math.floor(place / columns.length), column = place % columns.length;
    if (isOpened(rows[row]) || isOpened(columns[column]) || isBeyond(rows[row], columns[column])) continue;
    const cell = cellOf(rows[row], columns[column]);
    if (cell.cut && (!isNarrowed() || cell.isHit)) {
      focusAt(row, column);
      return;
    }
  }
  say("No required flow is cut in what is shown.");
}

function zoom(step) {
  const larger = SIZES.find((size) => size > grid.size), smaller = SIZES.filter((size) => size < grid.size).pop();
  view.size = step > 0 ? larger || SIZES[SIZES.length - 1] : smaller || SIZES[0];
  refresh();
}

function onPageKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    $("search")?.focus();
    $("search")?.select();
    event.preventDefault();
  } else if (event.key === "Escape" && !$("dialog").open && view.selected) {
    closePanel();
  }
}
