/* The same content as tables, for reading, searching and screen readers. */
const FIRST_ROWS = 200, MORE_ROWS = 500;
let rowLimit = FIRST_ROWS;

function table(caption, heads, lines, total, unit) {
  if (!lines.length) return nothingToShow();
  const box = h("div", { class: "list", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads.map(([words, tone]) => h("th", { scope: "col", class: tone }, words)))), h("tbody", {}, lines)));
  if (total > lines.length) {
    box.append(h("p", { class: "more" }, `${num(lines.length)} of ${num(total)} ${unit}.`, button(`Show ${MORE_ROWS} more`, () => { rowLimit += MORE_ROWS; drawView(); }, { class: "copy" })));
  }
  return box;
}

const rowOf = (...columns) => h("tr", {}, columns.map(([content, tone]) => h("td", { class: tone }, content)));
const link = (words, from, to) => button(words, () => openDetails(from, to), { class: "link" });

function cellTag(cell) {
  if (cell.cut) return tag("bad", `✕ ${num(cell.cut)} cut`);
  if (cell.unknown) return tag("warn", "? not known");
  if (cell.needed) return tag("ok", "● required, allowed");
  return cell.allowed ? tag("", cell.wide ? "■ allowed, every port" : "□ allowed, some ports") : tag("", "denied");
}

function connectionTable() {
  const found = [];
  for (const from of rows) {
    for (const to of columns) {
      if (from.peer >= 0 || to.peer >= 0 || isBeyond(from, to)) continue;
      const cell = cellOf(from, to);
      if (isFilled(cell) && (!isNarrowed() || cell.isHit)) found.push([from, to, cell]);
    }
  }
  found.sort((left, right) => right[2].cut - left[2].cut || right[2].unknown - left[2].unknown);
  const lines = found.slice(0, rowLimit).map(([from, to, cell]) => rowOf([link(model.label(from), from, to)], [model.label(to)], [cellTag(cell), "whole"],
    [num(cell.cut), "figure"], [num(cell.needed), "figure"], [`${num(cell.allowed)} of ${num(cell.pairs)}`, "figure"], [num(cell.wide), "figure"]));
  const heads = [["From"], ["To"], ["State"], ["Cut", "figure"], ["Required, allowed", "figure"], ["Pairs allowed", "figure"], ["On every port", "figure"]];
  return table(`${plural(found.length, "pair")} of namespaces with something between them, worst first`, heads, lines, found.length, "pairs of namespaces");
}

function flowState(flow) {
  if (flow.isCut) {
    const sides = [flow.marks & DENIED_EGRESS ? "egress" : "", flow.marks & DENIED_INGRESS ? "ingress" : ""].filter(Boolean);
    return tag("bad", `✕ cut at ${sides.join(" and ")}`);
  }
  return flow.isUnknown ? tag("warn", "? not known") : tag("ok", "● allowed");
}

function isFlowHit(flow) {
  if (!areMatches(itemOf(flow.source), itemOf(flow.destination)) || (asked.port && flow.port !== asked.port)) return false;
  const layer = flow.isCut ? "cut" : flow.isUnknown ? "unknown" : "need";
  if (view.hidden.has(layer)) return false;
  switch (view.only) {
    case "cut": return flow.isCut;
    case "unknown": return flow.isUnknown;
    case "open": return openNamespaces.has(model.home[flow.source]) || openNamespaces.has(model.home[flow.destination]);
    case "world": return flow.source === model.internet || flow.destination === model.internet;
    case "wide": return current().allowed(flow.source, flow.destination) === EVERY_PORT;
    default: return true;
  }
}

function flowTable() {
  const worth = (flow) => (flow.isCut ? 2 : flow.isUnknown ? 1 : 0);
  const found = current().flows.filter((flow) => isShown(flow) && isFlowHit(flow)).sort((left, right) => worth(right) - worth(left) || left.isWarning - right.isWarning);
  const lines = found.slice(0, rowLimit).map((flow) => rowOf([flowState(flow), "whole"], [flow.kind, "whole"],
    [link(model.full(flow.source), itemOf(flow.source), itemOf(flow.destination))], [model.full(flow.destination)], [portOf(flow), "figure whole"], [flow.reason]));
  return table(`${plural(found.length, "required flow")}, cut ones first`, [["State"], ["Kind"], ["From"], ["To"], ["Port", "figure"], ["Needed because"]], lines, found.length, "required flows");
}

function namespaceTable() {
  const state = current(), cuts = new Map(), policies = new Map();
  for (const flow of state.flows) {
    if (!flow.isCut) continue;
    for (const group of new Set([model.home[flow.source], model.home[flow.destination]])) cuts.set(group, (cuts.get(group) || 0) + 1);
  }
  for (const number of presentPolicies()) {
    const { namespace } = model.doc.policies[number];
    policies.set(namespace, (policies.get(namespace) || 0) + 1);
  }
  const kept = [...new Set([...rows, ...columns].map((item) => item.group))].filter((group) => group !== model.outside &&
    (view.only !== "open" || openNamespaces.has(group)) && (view.only !== "cut" || cuts.has(group)));
  kept.sort((left, right) => (cuts.get(right) || 0) - (cuts.get(left) || 0) || byText(model.namespace(left), model.namespace(right)));
  const lines = kept.slice(0, rowLimit).map((group) => {
    const own = model.members[group], name = model.namespace(group);
    return rowOf([link(name, groupItem(group))], [num(own.length), "figure"], [ISOLATION[isolation[group][0]], "whole"], [ISOLATION[isolation[group][1]], "whole"],
      [num(policies.get(name) || 0), "figure"], [num(cuts.get(group) || 0), "figure"],
      [num(own.filter((peer) => state.allowed(model.internet, peer)).length), "figure"], [num(own.filter((peer) => state.allowed(peer, model.internet)).length), "figure"]);
  });
  const heads = [["Namespace"], ["Workloads", "figure"], ["Leaving it"], ["Entering it"], ["Policies", "figure"], ["Required flows cut", "figure"], ["The internet reaches", "figure"], ["Reach the internet", "figure"]];
  return table(`${plural(kept.length, "namespace")}, those with most cut flows first`, heads, lines, kept.length, "namespaces");
}

/* Empty states, each with its way out. */
function nothingToShow() {
  if (!model.workloads) {
    return emptyBox("No workload in the input", "A map needs Deployments, Pods or the like. istio-netpol dump writes a file that has all of them.");
  }
  if (compared() && !view.query && !view.kinds.size && !view.only) {
    const words = `${stateName(view.state)} allows exactly what ${stateName(compared().name).toLowerCase()} does.`;
    return emptyBox("Nothing changes", words, button("Show everything", () => { view.changes = false; refresh(); }, { class: "plain" }));
  }
  const isGood = view.only === "cut" && !current().flows.some((flow) => flow.isCut);
  return emptyBox(isGood ? "No required flow is cut" : "Nothing matches",
    isGood ? `Of ${plural(current().flows.length, "required flow")} none is cut.` : "No connection fits the search and the filters together.",
    button("Clear search and filters", clearFilters, { class: "plain" }));
}

const emptyBox = (title, words, ...more) => h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, words), more);

function clearFilters() {
  Object.assign(view, { query: "", only: "" });
  view.kinds.clear();
  view.hidden.clear();
  if (!model.states.before) view.changes = false;
  refresh();
  $("search")?.focus();
}
