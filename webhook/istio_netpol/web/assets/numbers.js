/* The five numbers on top; each is a filter for what makes it up. */
const SIDES = ["egress", "ingress"];
const ISOLATION = { none: "not isolated", part: "isolated in part", full: "isolated", unknown: "not judged" };
let openNamespaces = new Set();
let isolation = [];

/* Whether the workloads of a namespace are isolated, for each side: all, some or none of them. */
function isolationOf(state, group) {
  const own = model.members[group].filter((peer) => !model.isOutside(peer) && !model.isHostNetwork(peer) && state.has(peer));
  return SIDES.map((side) => {
    if (!own.length) return "unknown";
    const isolated = own.filter((peer) => state.isIsolated(side, peer)).length;
    if (!isolated) return "none";
    return isolated === own.length ? "full" : "part";
  });
}

/* Pairs of workloads that are open on every port and that no required flow is about. */
function widePairs(state) {
  const needed = new Set();
  for (const flow of state.flows) {
    const isInside = !model.isOutside(flow.source) && !model.isOutside(flow.destination);
    if (isInside && state.allowed(flow.source, flow.destination) === EVERY_PORT) needed.add(flow.source * model.peers + flow.destination);
  }
  return state.grid.widePairs - needed.size;
}

function numberTile(id, count, what, detail, tone) {
  return h("button", {
    type: "button", class: `number ${tone}`, "aria-pressed": String(view.only === id), id: `number-${id}`,
    click: () => { view.only = view.only === id ? "" : id; refresh(); },
  }, h("span", { class: "big" }, count), h("span", { class: "text" }, h("span", { class: "what" }, what), h("span", { class: "detail" }, detail)));
}

function cutDetail(state, cuts) {
  const changed = flowChanges();
  if (changed) return `${num(changed.cut.length)} newly cut, ${num(changed.mended.length)} mended`;
  if (!cuts.length) return `all ${num(state.flows.length)} get through`;
  const where = new Set(cuts.flatMap((flow) => [
    flow.marks & DENIED_EGRESS ? model.home[flow.source] : -1, flow.marks & DENIED_INGRESS ? model.home[flow.destination] : -1,
  ]).filter((group) => group >= 0));
  return `of ${num(state.flows.length)}, in ${plural(where.size, "namespace")}`;
}

function drawNumbers() {
  const state = current(), cuts = state.flows.filter((flow) => flow.isCut && isShown(flow));
  isolation = Array.from({ length: model.groups }, (_, group) => isolationOf(state, group));
  const judged = isolation.map((sides, group) => group).filter((group) => isolation[group][0] !== "unknown");
  openNamespaces = new Set(judged.filter((group) => isolation[group].every((side) => side === "none")));
  const partly = judged.filter((group) => !openNamespaces.has(group) && isolation[group].some((side) => side !== "full"));
  const reached = [];
  for (let peer = 0; peer < model.workloads; peer++) if (state.allowed(model.internet, peer)) reached.push(peer);
  const gateways = new Set(state.flows.filter((flow) => model.isOutside(flow.source) && !flow.isCut).map((flow) => flow.destination));
  const asked = reached.filter((peer) => gateways.has(peer)).length;
  const unknown = state.flows.filter((flow) => flow.isUnknown && isShown(flow)).length, unread = model.doc.notRead.length;
  const wide = widePairs(state);
  $("numbers").replaceChildren(
    numberTile("cut", num(cuts.length), "required flows cut", cutDetail(state, cuts), cuts.length ? "bad" : "good"),
    numberTile("open", num(openNamespaces.size), openNamespaces.size === 1 ? "namespace not isolated" : "namespaces not isolated",
      `of ${num(judged.length)}; ${partly.length ? `${num(partly.length)} more in part` : "all others both ways"}`, openNamespaces.size ? "" : "good"),
    numberTile("wide", num(wide), "open on every port", "pairs that nothing needs", ""),
    numberTile("world", num(reached.length), "open to the internet", `workloads; clients outside need ${num(asked)}`, ""),
    numberTile("unknown", num(unknown + unread), "not known", unknownDetail(unknown, unread), ""),
  );
}

function unknownDetail(flows, kinds) {
  if (!flows && !kinds) return "all of the input was judged";
  const parts = [flows ? plural(flows, "flow") : "", kinds ? `${plural(kinds, "kind")} not read` : ""];
  return parts.filter(Boolean).join("; ");
}
