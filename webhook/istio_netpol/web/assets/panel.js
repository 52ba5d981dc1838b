/* The panel beside the map: where to start, or what was selected. */
function select(items, focuses) {
  view.selected = items;
  drawPanel(focuses);
  writeAddress();
  followSelection();
  schedule(true);
}

/* The matrix' active cell is the selected one, where that is shown. */
function followSelection() {
  if (!view.selected || view.page !== "matrix") return;
  const place = placeOf(view.selected);
  if (place[0] >= 0 || place[1] >= 0) {
    grid.at = place;
    grid.reveals = true;
  }
}

function closePanel() {
  if (!view.selected) view.overviewClosed = true;
  view.selected = null;
  drawPanel();
  writeAddress();
  schedule(true);
  if (grid.element?.isConnected && grid.at) focusAt(...grid.at);
}

function drawPanel(focuses) {
  const panel = $("panel"), showsOverview = innerWidth >= 1180 && !view.overviewClosed && view.page === "matrix";
  panel.hidden = !view.selected && !showsOverview;
  if (panel.hidden) return;
  const title = h("h2", { tabindex: -1, id: "panel-title" }), body = h("div", { class: "panel-body" });
  const [from, to] = view.selected || [];
  if (!from) {
    title.append(compared() ? "What changes" : "Where to start");
    body.append(...overview());
  } else if (to) {
    title.append(model.label(from), h("span", { class: "arrow", "aria-hidden": "true" }, " → "), h("span", { class: "hidden" }, " to "), model.label(to));
    body.append(...(from.peer >= 0 && to.peer >= 0 ? pairDetails(from, to) : cellDetails(from, to)));
  } else {
    title.append(model.label(from));
    body.append(...itemDetails(from));
  }
  const isSameSubject = panel.dataset.subject === (view.selected || []).map((item) => model.key(item)).join("\n");
  panel.dataset.subject = (view.selected || []).map((item) => model.key(item)).join("\n");
  panel.replaceChildren(h("div", { class: "panel-head" }, title, button("✕", closePanel, { class: "close", "aria-label": "Close details" })), body);
  if (!isSameSubject) panel.scrollTop = 0;
  if (focuses) title.focus();
}

const openDetails = (from, to) => select(to ? [from, to] : [from], true);
const itemOf = (peer) => ({ group: model.home[peer], peer });
const groupItem = (group) => ({ group, peer: -1 });
const verdict = (tone, ...words) => h("p", { class: `verdict ${tone}` }, words);
const heading = (words, count, ...more) => h("h3", {}, words, count === null ? null : h("span", { class: "n" }, count), ...more);
const tag = (tone, words) => h("span", { class: `tag ${tone}` }, words);

function crumb(from, to) {
  if (to && (from.peer >= 0 || to.peer >= 0)) {
    const whole = [groupItem(from.group), groupItem(to.group)];
    return [button(`↑ all of ${model.label(whole[0])} → ${model.label(whole[1])}`, () => openDetails(...whole), { class: "crumb" })];
  }
  if (!to && from.peer >= 0) return [button(`↑ ${model.namespace(from.group)}`, () => openDetails(groupItem(from.group)), { class: "crumb" })];
  return [];
}

function verdictOf(from, to) {
  if (isBeyond(from, to)) return verdict("none", "Both are outside: no policy governs this.");
  const cell = cellOf(from, to);
  if (cell.cut) {
    const side = cell.egress && cell.ingress ? "on both sides" : cell.egress ? "where it leaves the source" : "where it enters the destination";
    const others = cell.needed ? ` ${num(cell.needed)} more ${cell.needed === 1 ? "is" : "are"} allowed.` : "";
    return verdict("bad", h("b", {}, `${plural(cell.cut, "required flow")} ${cell.cut === 1 ? "is" : "are"} cut`), ` ${side}.${others}`);
  }
  if (cell.unknown) return verdict("unknown", h("b", {}, `${plural(cell.unknown, "required flow")} could not be judged.`), " The reason stands below.");
  if (cell.needed) return verdict("ok", h("b", {}, "Allowed, and required"), ` by ${plural(cell.needed, "flow")}.`);
  if (cell.allowed) return verdict("ok", h("b", {}, "Allowed; nothing requires it."), " Istio and Kyma objects ask for none of it. It may still be wanted: declare it, or close it.");
  return verdict("none", h("b", {}, "Denied; nothing requires it."));
}

/* Sorted by namespace and name, each once, as `generate` prints them. */
function remediesOf(flows) {
  const found = [...new Set(flows.flatMap((flow) => flow.remedies))].map((number) => model.doc.remedies[number]);
  const name = ([namespace, policy]) => `${namespace}/${policy}`;
  return found.sort((left, right) => (name(left) < name(right) ? -1 : 1));
}

const yamlOf = (policies) => policies.map((policy) => policy[2]).join("---\n");

function remedyBox([namespace, name, text], isAlone) {
  const yaml = h("pre", { tabindex: 0, role: "region", "aria-label": `YAML of ${namespace}/${name}` }, text);
  if (isAlone) return h("div", { class: "box" }, h("div", { class: "box-head" }, `new in ${namespace}: ${name}`), yaml);
  return h("details", { class: "policy" }, h("summary", {}, `${namespace}/${name}`), h("div", { class: "box-head" }, copyButton(text, "Copy YAML")), yaml);
}

function remedySection(flows) {
  const cut = flows.filter((flow) => flow.isCut), policies = remediesOf(cut), hopeless = cut.filter((flow) => !flow.remedies.length);
  const found = [];
  if (policies.length) {
    const words = policies.length > 1 ? `Copy all ${num(policies.length)}` : "Copy YAML";
    found.push(heading("Remedy", plural(policies.length, "policy", "policies"), h("span", { class: "act" }, copyButton(yamlOf(policies), words, true))));
    const boxes = policies.slice(0, 60).map((policy) => remedyBox(policy, policies.length === 1));
    found.push(...(boxes.length > 3 ? [h("details", { class: "all" }, h("summary", {}, "Show them one by one"), boxes)] : boxes));
    if (policies.length > 60) found.push(h("p", { class: "hint" }, `and ${num(policies.length - 60)} more, in the copy`));
    const homes = [...new Set(policies.map(([namespace]) => namespace))];
    const who = homes.length > 1 ? `Whoever owns ${homes.join(" and ")} applies theirs.` : `Whoever owns ${homes[0]} applies it.`;
    found.push(h("p", { class: "hint" }, `${who} Open connections keep their old fate until they are made again.`));
  }
  if (hopeless.length) {
    found.push(h("p", { class: "hint" }, `No policy can open ${plural(hopeless.length, "cut flow")} here: its addresses are not known, or a consent is missing.`));
  }
  return found;
}
