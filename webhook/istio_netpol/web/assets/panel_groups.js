/* A cell of namespaces, and a namespace or a workload by itself. */
const MOST_PAIRS = 40;

function pairRow(source, destination, isFull) {
  const state = current(), other = compared(), flows = flowsBetween(state, itemOf(source), itemOf(destination)).filter(isShown);
  const ports = state.allowed(source, destination), cut = flows.filter((flow) => flow.isCut);
  const [sign, tone, words] = cut.length ? ["✕", "bad", "required flow cut"]
    : flows.some((flow) => flow.isUnknown) ? ["?", "", "not known"]
      : flows.length ? ["●", "ok", "required and allowed"] : [ports === EVERY_PORT ? "■" : "□", "", "allowed"];
  const name = isFull ? (peer) => model.full(peer) : (peer) => model.short(peer);
  const before = other ? other.allowed(source, destination) : ports;
  return h("li", {}, button([
    h("span", { class: `sign ${tone}`, "aria-hidden": "true" }, sign),
    h("span", { class: "who" }, h("span", { class: "hidden" }, `${words}: `), `${name(source)} → ${name(destination)}`),
    h("span", { class: "ports" }, cut.length ? [...new Set(cut.map(portOf))].join(", ") : model.ports.text(ports)),
    cut.length ? h("span", { class: "why" }, `${[...new Set(cut.map((flow) => flow.kind))].join(", ")}; denied by ${deniedBy(cut[0])}`) : null,
    before !== ports ? h("span", { class: "why" }, `was: ${model.ports.text(before)}`) : null,
  ], () => openDetails(itemOf(source), itemOf(destination))));
}

const deniedBy = (flow) => [
  flow.marks & DENIED_EGRESS ? "egress of the source" : "", flow.marks & DENIED_INGRESS ? "ingress of the destination" : "",
].filter(Boolean).join(" and ");

function cellDetails(from, to) {
  const state = current(), other = compared(), sorted = { cut: [], changed: [], needed: [], allowed: [] };
  for (const source of peersOf(from)) {
    for (const destination of peersOf(to)) {
      if (source === destination) continue;
      const flows = (state.byPair.get(source * model.peers + destination) || []).filter(isShown);
      const ports = state.allowed(source, destination), pair = [source, destination];
      if (flows.some((flow) => flow.isCut || flow.isUnknown)) sorted.cut.push(pair);
      else if (other && other.allowed(source, destination) !== ports) sorted.changed.push(pair);
      else if (flows.length) sorted.needed.push(pair);
      else if (ports) sorted.allowed.push(pair);
    }
  }
  const section = (title, pairs) => (pairs.length ? [heading(title, num(pairs.length)),
    h("ul", { class: "pairs" }, pairs.slice(0, MOST_PAIRS).map(([source, destination]) => pairRow(source, destination))),
    pairs.length > MOST_PAIRS ? h("p", { class: "hint" }, `The first ${MOST_PAIRS} of ${num(pairs.length)}. Open a namespace in the map, or search, to see the others.`) : null] : []);
  const sections = [...section("Required, and cut", sorted.cut), ...remedySection(flowsBetween(state, from, to).filter(isShown)),
    ...section(other ? `Changed against ${stateName(other.name).toLowerCase()}` : "", sorted.changed),
    ...section("Required, and allowed", sorted.needed), ...section("Allowed, nothing requires it", sorted.allowed)];
  const nothing = sections.length ? [] : [h("p", { class: "hint" }, "No pair of their workloads may connect.")];
  return [...crumb(from, to), verdictOf(from, to), ...sections, ...nothing].filter(Boolean);
}

function itemDetails(item) {
  const state = current(), { group, peer } = item, isMine = peer >= 0 ? (end) => end === peer : (end) => model.home[end] === group;
  const flows = state.flows.filter((flow) => isMine(flow.source) || isMine(flow.destination)), cut = flows.filter((flow) => flow.isCut);
  const pairs = [...new Map(cut.map((flow) => [flow.source * model.peers + flow.destination, flow])).values()];
  return [
    ...crumb(item), itemVerdict(item, flows, cut), itemButtons(item), ...itemFacts(item), ...remedySection(flows),
    ...(cut.length ? [heading("Cut", num(pairs.length)), h("ul", { class: "pairs" }, pairs.slice(0, 60).map((flow) => pairRow(flow.source, flow.destination, true)))] : []),
    ...itemRemarks(item), ...itemPolicies(item),
  ];
}

function itemVerdict({ group, peer }, flows, cut) {
  if (group === model.outside && peer < 0) return verdict("none", "Addresses and names that policies or Istio objects mention.");
  if (cut.length) return verdict("bad", h("b", {}, `${plural(cut.length, "required flow")} ${cut.length === 1 ? "is" : "are"} cut`), " from it or to it.");
  if (flows.some((flow) => flow.isUnknown)) return verdict("unknown", "No required flow is cut, as far as is known; some could not be judged.");
  return flows.length ? verdict("ok", h("b", {}, `All ${plural(flows.length, "required flow")} get through.`)) : verdict("none", "No required flow touches it.");
}

function itemButtons(item) {
  const row = h("div", { class: "buttons" }), isOpen = view.open.has(item.group);
  if (item.peer < 0) {
    row.append(button(isOpen ? "Close its workloads" : "Open its workloads", () => { toggle(item.group); drawPanel(); }, { class: "copy", "aria-pressed": String(isOpen) }));
  }
  row.append(button("Show only what touches it", () => { view.query = model.label(item); refresh(); }, { class: "copy" }));
  return row;
}

function itemFacts({ group, peer }) {
  if (group === model.outside) return [];
  const list = h("dl", { class: "facts" }), add = (name, ...words) => list.append(h("dt", {}, name), h("dd", {}, words));
  if (peer < 0) {
    add("Workloads", num(model.members[group].length));
    add("Leaving it", ISOLATION[isolation[group][0]]);
    add("Entering it", ISOLATION[isolation[group][1]]);
    const labels = Object.entries(model.doc.namespaces[group].labels).filter(([key]) => key !== "kubernetes.io/metadata.name");
    if (labels.length) add("Labels", h("span", { class: "mono" }, labels.map(([key, value]) => `${key}=${value}`).join("  ")));
  } else {
    add("Kind", model.kind(peer));
    if (model.place(peer)) add("Written in", h("span", { class: "mono" }, model.place(peer)));
    if (!model.isHostNetwork(peer) && current().has(peer)) {
      SIDES.forEach((side, place) => add(place ? "Entering it" : "Leaving it", current().isIsolated(side, peer) ? "isolated" : "open, no policy selects it"));
    }
  }
  const [reach, reached] = reachOf({ group, peer });
  add("May reach", reachWords(reach));
  add("Reached by", reachWords(reached));
  return [list];
}

/* The other namespaces that an item may reach, and by which it may be reached. */
function reachOf(item) {
  const state = current(), reach = new Set(), reached = new Set();
  for (const own of peersOf(item)) {
    for (let other = 0; other < model.peers; other++) {
      if (model.home[other] === item.group) continue;
      if (state.allowed(own, other)) reach.add(model.home[other]);
      if (state.allowed(other, own)) reached.add(model.home[other]);
    }
  }
  return [reach, reached];
}

function reachWords(groups) {
  const isBeyondToo = groups.has(model.outside), inside = groups.size - isBeyondToo;
  const parts = [inside ? plural(inside, "namespace") : "", isBeyondToo ? "addresses outside" : ""].filter(Boolean);
  return parts.length ? parts.join(" and ") : "nobody";
}

function itemRemarks({ group, peer }) {
  const remarks = peer >= 0 || group === model.outside ? [] : current().facts.remarks.filter(([, , object]) => model.doc.objects[object][1] === model.namespace(group));
  if (!remarks.length) return [];
  return [heading("About its objects", num(remarks.length)), h("ul", { class: "reasons" }, remarks.slice(0, 60).map(([rule, severity, , message]) =>
    h("li", {}, tag(severity === "info" ? "" : "warn", rule), ` ${message}`)))];
}

function itemPolicies({ group, peer }) {
  if (group === model.outside) return [];
  const numbers = peer >= 0
    ? [...new Set(SIDES.flatMap((side) => (current().has(peer) ? current().isolatedBy(side, peer) : [])))]
    : presentPolicies().filter((number) => model.doc.policies[number].namespace === model.namespace(group));
  if (!numbers.length) return [h("p", { class: "hint" }, "No NetworkPolicy here: none restricts a connection from it or to it.")];
  return [heading(peer >= 0 ? "Policies that select it" : "Policies", num(numbers.length)), ...numbers.slice(0, 100).map((number) => policyBox(model.doc.policies[number], null, []))];
}

/* The policies of the state that is looked at. */
const presentPolicies = () => current().facts.policies;
