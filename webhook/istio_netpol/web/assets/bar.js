/* Views, search, filters and states above the map, and the chips that say what is filtered. */
const PAGES = [["matrix", "Matrix"], ["connections", "Connections"], ["flows", "Required flows"], ["namespaces", "Namespaces"]];
const ONLY = { cut: "with cut flows", open: "not isolated", wide: "open wider than needed", world: "open to the internet", unknown: "not known" };
const LAYERS = { cut: "cut", need: "required", excess: "not required", unknown: "not known" };
let searchTimer = 0;

function choices(name, options, chosen, choose) {
  return h("div", { class: "choices", role: "group", "aria-label": name }, options.map(([value, words, title]) =>
    button(words, () => choose(value), { "aria-pressed": String(value === chosen), title })));
}

function searchBox() {
  const input = h("input", { id: "search", type: "search", placeholder: "Search: shop   from:api   to:istiod   port:9000", autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "Control+K" });
  input.value = view.query;
  input.addEventListener("input", () => {
    view.query = input.value;
    clearTimeout(searchTimer);
    searchTimer = setTimeout(() => refresh({ keepsBar: true }), 120);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      clearTimeout(searchTimer);
      refresh({ keepsBar: true });
      const found = bestMatch();
      if (found) select([found], true);
      event.preventDefault();
    } else if (event.key === "Escape" && view.query) {
      view.query = input.value = "";
      refresh({ keepsBar: true });
      event.stopPropagation();
    }
  });
  return h("div", { class: "search" }, h("label", { class: "hidden", for: "search" }, "Search namespaces, workloads and ports"), input);
}

const kindWords = () => (view.kinds.size ? `Flow kinds: ${view.kinds.size}` : "Flow kinds");

function kindMenu() {
  const kinds = new Map();
  for (const flow of current().flows) {
    const known = kinds.get(flow.kind) || { all: 0, cut: 0 };
    known.all++;
    known.cut += flow.isCut;
    kinds.set(flow.kind, known);
  }
  const menu = h("div", { class: "menu", id: "kinds", hidden: true, role: "group", "aria-label": "Flow kinds" }, [...kinds].sort().map(([kind, { all, cut }]) => {
    const box = h("input", { type: "checkbox" });
    box.checked = view.kinds.has(kind);
    box.addEventListener("change", () => {
      if (box.checked) view.kinds.add(kind);
      else view.kinds.delete(kind);
      opener.textContent = kindWords();
      refresh({ keepsBar: true });
    });
    return h("label", {}, box, kind, h("span", { class: cut ? "n bad" : "n" }, cut ? `${num(cut)} cut of ${num(all)}` : num(all)));
  }));
  const show = (isShownNow) => { menu.hidden = !isShownNow; opener.setAttribute("aria-expanded", String(isShownNow)); };
  const opener = button(kindWords(), () => show(menu.hidden), { "aria-expanded": "false", "aria-controls": "kinds", class: "plain" });
  const picker = h("div", { class: "picker" }, opener, menu);
  picker.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || menu.hidden) return;
    show(false);
    opener.focus();
    event.stopPropagation();
  });
  picker.addEventListener("focusout", (event) => { if (event.relatedTarget && !picker.contains(event.relatedTarget)) show(false); });
  return picker;
}

function stateChoice() {
  const names = STATE_ORDER.filter((name) => model.states[name]);
  if (names.length < 2) return [];
  const options = names.map((name) => [name, stateName(name), name === "deny-all" ? "What a deny-all in every namespace would do" : null]);
  return [choices("State of the cluster", options, view.state, (name) => {
    view.state = name;
    view.changes = name === "deny-all" ? view.changes : opensChanges();
    refresh();
  })];
}

function changeButton() {
  const other = otherName[view.state];
  if (!other || !model.states[other]) return [];
  return [button(`Changes against ${stateName(other).toLowerCase()}`, () => { view.changes = !view.changes; refresh(); }, { class: "plain", id: "changes", "aria-pressed": String(view.changes) })];
}

function matrixTools() {
  if (view.page !== "matrix") return [];
  const order = h("select", { class: "plain", id: "order", "aria-label": "Order of namespaces" }, Object.entries(ORDERS).map(([name, [words]]) => h("option", { value: name }, words)));
  order.value = view.order;
  order.addEventListener("change", () => { view.order = order.value; refresh(); });
  return [order, h("div", { class: "sizes", role: "group", "aria-label": "Size of cells" },
    button("−", () => zoom(-1), { class: "plain", "aria-label": "Smaller cells" }),
    button("Fit", () => { view.size = view.size < 0 ? 0 : -1; refresh(); }, { class: "plain", "aria-pressed": String(view.size < 0) }),
    button("+", () => zoom(1), { class: "plain", "aria-label": "Larger cells" }))];
}

function drawBar() {
  const pages = choices("View", PAGES, view.page, (page) => { view.page = page; rowLimit = FIRST_ROWS; refresh(); });
  $("bar").hidden = false;
  $("bar").replaceChildren(pages, searchBox(), kindMenu(), ...stateChoice(), ...changeButton(), h("span", { class: "spring" }), ...matrixTools());
}

function drawChips() {
  const bar = $("chips"), chips = [];
  const chip = (words, remove) => chips.push(h("span", { class: "chip" }, words, button("✕", () => { remove(); refresh(); }, { "aria-label": `Remove: ${words}` })));
  if (view.only) chip(ONLY[view.only] || view.only, () => { view.only = ""; });
  if (view.query) chip(`“${view.query}”`, () => { view.query = ""; });
  for (const kind of view.kinds) chip(kind, () => view.kinds.delete(kind));
  if (view.hidden.size) chip(`hidden: ${[...view.hidden].map((layer) => LAYERS[layer] || layer).join(", ")}`, () => view.hidden.clear());
  bar.hidden = !chips.length;
  if (bar.hidden) return;
  const count = (axis) => axis.filter((item) => item.peer < 0 && item.group !== model.outside).length;
  bar.replaceChildren(`${plural(count(rows), "source namespace")}, ${plural(count(columns), "destination namespace")} left:`, ...chips, button("Clear all", clearFilters, { class: "quiet" }));
}
