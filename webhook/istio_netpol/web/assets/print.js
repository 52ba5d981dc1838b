/* Paper: the numbers, the map with its key, and every cut flow with its reason; always light. */
const MOST_PRINTED = 160, MOST_PRINTED_FLOWS = 1000;

function preparePrint() {
  const chosen = document.documentElement.dataset.theme;
  setTheme("light");
  const cut = current().flows.filter((flow) => flow.isCut && isShown(flow) && isFlowHit(flow));
  const isPart = rows.length > MOST_PRINTED || columns.length > MOST_PRINTED;
  $("print").replaceChildren(
    h("h2", {}, `Map: ${stateName(view.state).toLowerCase()}${isPart ? ` (the first ${MOST_PRINTED} rows and columns)` : ""}`), printedMatrix(),
    h("p", {}, "Square with a cross: required and denied; bar left: by the source's egress; bar on top: by the destination's ingress. Dot: required and allowed. Hollow: some ports; solid: every port. Size: share of the pairs."),
    h("h2", {}, cut.length ? `Required flows that are cut (${num(cut.length)})` : "No required flow is cut"), ...(cut.length ? [printedFlows(cut)] : []));
  setTheme(chosen || "");
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  readColours();
}

function printedMatrix() {
  const shownRows = rows.slice(0, MOST_PRINTED), shownColumns = columns.slice(0, MOST_PRINTED), left = 170, top = 120, ratio = 2;
  const size = Math.max(4, Math.min(20, Math.floor(1500 / Math.max(shownColumns.length, shownRows.length, 1))));
  const canvas = h("canvas"), pen = canvas.getContext("2d"), name = (item) => (item.peer < 0 ? model.namespace(item.group) : model.short(item.peer));
  canvas.width = (left + shownColumns.length * size) * ratio;
  canvas.height = (top + shownRows.length * size) * ratio;
  pen.scale(ratio, ratio);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#000";
  pen.font = `${Math.max(6, Math.min(11, size * 0.7))}px ${FONT}`;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  shownRows.forEach((item, row) => pen.fillText(name(item).slice(0, 28), left - 6, top + row * size + size / 2));
  pen.textAlign = "left";
  shownColumns.forEach((item, column) => {
    pen.save();
    pen.translate(left + column * size + size / 2, top - 6);
    pen.rotate(-Math.PI / 2);
    pen.fillText(name(item).slice(0, 20), 0, 0);
    pen.restore();
  });
  shownRows.forEach((from, row) => shownColumns.forEach((to, column) => {
    const x = left + column * size, y = top + row * size;
    pen.strokeStyle = "#ddd";
    pen.lineWidth = 0.5;
    pen.strokeRect(x, y, size, size);
    if (!isBeyond(from, to) && !(from.peer >= 0 && from.peer === to.peer)) paintCell(pen, x, y, size, cellOf(from, to), Boolean(compared()));
  }));
  return canvas;
}

function printedFlows(flows) {
  const heads = ["From", "To", "Port", "Kind", "Denied at", "Needed because"];
  const cells = (flow) => [model.full(flow.source), model.full(flow.destination), portOf(flow), flow.kind, deniedBy(flow), flow.reason];
  return h("table", {}, h("thead", {}, h("tr", {}, heads.map((words) => h("th", {}, words)))),
    h("tbody", {}, flows.slice(0, MOST_PRINTED_FLOWS).map((flow) => h("tr", {}, cells(flow).map((words) => h("td", {}, words))))));
}
