/* The legend; its first entries hide and show their layers. */
function swatch(cell, withChanges) {
  const canvas = h("canvas", { width: 44, height: 44, "aria-hidden": "true" }), pen = canvas.getContext("2d");
  pen.scale(2, 2);
  const nothing = { allowed: 0, wide: 0, pairs: 1, cut: 0, needed: 0, unknown: 0, egress: 0, ingress: 0, gained: 0, lost: 0 };
  paintCell(pen, 0, 0, 22, { ...nothing, ...cell }, withChanges, new Set());
  return canvas;
}

function drawLegend() {
  const legend = $("legend");
  legend.hidden = view.page !== "matrix";
  if (legend.hidden) return;
  const layer = (name, cell, words) => button([swatch(cell), words], () => {
    if (view.hidden.has(name)) view.hidden.delete(name);
    else view.hidden.add(name);
    refresh();
  }, { class: "key", "aria-pressed": String(!view.hidden.has(name)) });
  const key = (cell, words, withChanges) => h("span", { class: "key" }, swatch(cell, withChanges), words);
  const gap = () => h("span", { class: "gap" });
  const changes = compared() ? [gap(), key({ allowed: 1, gained: 1 }, "gained", true), key({ lost: 1 }, "lost", true)] : [];
  legend.replaceChildren(
    layer("cut", { cut: 1 }, "Required, denied"), key({ cut: 1, egress: 1 }, "by egress"), key({ cut: 1, ingress: 1 }, "by ingress"), gap(),
    layer("need", { allowed: 1, needed: 1 }, "Required, allowed"), layer("excess", { allowed: 1 }, "Allowed, not required"), layer("unknown", { unknown: 1 }, "Not known"), gap(),
    key({ allowed: 1 }, "some ports"), key({ allowed: 1, wide: 1 }, "every port"), key({ allowed: 1, wide: 1, pairs: 3 }, "part of the pairs"), ...changes);
}
