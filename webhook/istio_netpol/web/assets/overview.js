/* Where to start: who denies what, worst first, or what changes; then what else an owner should see. */
const MOST_IN_OVERVIEW = 14;

function overview() {
  const state = current(), cuts = state.flows.filter((flow) => flow.isCut && isShown(flow)), changed = flowChanges();
  return [
    ...(changed ? changesSection(changed) : []), ...worstSection(state, cuts), ...remedyButtons(cuts), ...openSection(), ...remarkSection(state), ...groundsSection(),
  ];
}

function changesSection({ cut, mended }) {
  const against = stateName(compared().name).toLowerCase(), rest = ` against ${against}; ${num(mended.length)} mended.`;
  const head = cut.length ? verdict("bad", h("b", {}, `${plural(cut.length, "required flow")} newly cut`), rest) : verdict("ok", h("b", {}, "No required flow is newly cut"), rest);
  return [head, ...changedPairs("Newly cut", cut, "✕", "bad"), ...changedPairs("Mended", mended, "✓", "gain"), heading("Cut in all", num(current().flows.filter((flow) => flow.isCut && isShown(flow)).length))];
}

function changedPairs(title, flows, sign, tone) {
  if (!flows.length) return [];
  const pairs = new Map();
  for (const flow of flows) collect(pairs, flow.source * model.peers + flow.destination, flow);
  const lines = [...pairs.values()].slice(0, 8).map((alike) => h("li", {}, button([
    h("span", { class: `sign ${tone}`, "aria-hidden": "true" }, sign),
    h("span", { class: "who" }, `${model.full(alike[0].source)} → ${model.full(alike[0].destination)}`),
    h("span", { class: "ports" }, [...new Set(alike.map(portOf))].join(", ")),
  ], () => openDetails(itemOf(alike[0].source), itemOf(alike[0].destination)))));
  const more = pairs.size > 8 ? [h("p", { class: "hint" }, `and ${num(pairs.size - 8)} more pairs`)] : [];
  return [heading(title, num(flows.length)), h("ul", { class: "pairs" }, lines), ...more];
}

function worstSection(state, cuts) {
  const by = new Map();
  for (const flow of cuts) {
    for (const [bit, end, words] of [[DENIED_EGRESS, flow.source, "leaving"], [DENIED_INGRESS, flow.destination, "entering"]]) {
      if (!(flow.marks & bit)) continue;
      const group = model.home[end], known = by.get(group) || { count: 0, kinds: new Map(), ways: new Set() };
      known.count++;
      known.ways.add(words);
      known.kinds.set(flow.kind, (known.kinds.get(flow.kind) || 0) + 1);
      by.set(group, known);
    }
  }
  if (!by.size) {
    const all = state.flows.length ? ` All ${num(state.flows.length)} that could be judged get through.` : " No Istio or Kyma object in the input requires any.";
    return [verdict("ok", h("b", {}, "No required flow is cut."), all)];
  }
  const worst = [...by].sort((left, right) => right[1].count - left[1].count || byText(model.namespace(left[0]), model.namespace(right[0])));
  const line = ([group, { count, kinds, ways }]) => h("li", {}, button([
    h("span", { class: "sign bad", "aria-hidden": "true" }, "✕"), h("span", { class: "who" }, model.namespace(group)),
    h("span", { class: "ports" }, `${plural(count, "flow")} ${ways.size > 1 ? "both ways" : [...ways][0]}`),
    h("span", { class: "why" }, [...kinds].sort((left, right) => right[1] - left[1]).map(([kind, number]) => `${kind} ${number}`).join(", ")),
  ], () => openDetails(groupItem(group))));
  const more = worst.length > MOST_IN_OVERVIEW ? [h("p", { class: "hint" }, button(`All ${num(worst.length)} namespaces`, () => { view.page = "namespaces"; refresh(); }, { class: "crumb" }))] : [];
  return [h("p", { class: "lead" }, `${plural(by.size, "namespace denies", "namespaces deny")} what Istio or Kyma need. Each opens with its reasons and the policies that mend it.`),
    h("ul", { class: "pairs" }, worst.slice(0, MOST_IN_OVERVIEW).map(line)), ...more];
}

function remedyButtons(cuts) {
  const policies = remediesOf(cuts);
  if (!policies.length) return [];
  const command = `istio-netpol generate ${model.doc.readFrom || "PATH"}${view.state === "deny-all" ? " --assume-deny-all" : ""}`;
  return [h("div", { class: "buttons end" }, copyButton(yamlOf(policies), `Copy all ${plural(policies.length, "remedy", "remedies")}`, true), copyButton(command, "Copy the command that writes them"))];
}

function openSection() {
  if (!openNamespaces.size) return [];
  const names = [...openNamespaces].sort((left, right) => byText(model.namespace(left), model.namespace(right)));
  return [heading("Not isolated in either direction", num(names.length)), h("p", { class: "tags" }, names.slice(0, 60).flatMap((group) => [
    button(model.namespace(group), () => openDetails(groupItem(group)), { class: "tag go" }), " "]))];
}

function remarkSection(state) {
  const by = new Map();
  for (const remark of state.facts.remarks) collect(by, remark[0], remark);
  if (!by.size) return [];
  const name = ([, , number]) => model.doc.objects[number];
  const places = (remarks) => remarks.slice(0, 6).flatMap((remark, place) => {
    const [, namespace, object] = name(remark), item = model.byKey.get(namespace), words = namespace ? `${namespace}/${object}` : object;
    return [place ? ", " : "", item ? button(words, () => openDetails(item), { class: "crumb in" }) : words];
  });
  return [heading("Other findings", num(state.facts.remarks.length)), h("ul", { class: "reasons" }, [...by].map(([rule, remarks]) =>
    h("li", {}, tag("warn", rule), ` ${num(remarks.length)}: `, places(remarks), remarks.length > 6 ? ` and ${num(remarks.length - 6)} more` : "")))];
}

function groundsSection() {
  const { assumed, notRead } = model.doc;
  const lines = [...assumed.map(({ what, why }) => `Assumed: ${what}, because ${why}`), ...notRead.map(({ count, kind, apiVersion }) => `Not read: ${num(count)} ${kind} (${apiVersion})`)];
  return lines.length ? [heading("What this rests on", null), h("ul", { class: "reasons" }, lines.map((line) => h("li", {}, line)))] : [];
}
