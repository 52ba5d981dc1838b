/* What is looked at. All of it stands in the address bar, by name, so that a link holds for a later document. */
const view = {
  page: "matrix", state: "now", query: "", kinds: new Set(), hidden: new Set(), only: "", open: new Set(),
  selected: null, order: "mesh", size: 0, changes: false, theme: "", overviewClosed: false,
};
let model = null;

const STATE_ORDER = ["before", "now", "deny-all"];
const stateName = (name) => ({ now: model.states.before ? "After" : "Now", "deny-all": "As if deny-all", before: "Before" })[name];
const otherName = { "deny-all": "now", now: "before", before: null };
const current = () => model.states[view.state];
const compared = () => (view.changes ? model.states[otherName[view.state]] || null : null);
const fewOutside = () => model.doc.outside.length <= 8;
const opensChanges = () => Boolean(model.states.before) && view.state === "now";
const isNarrow = () => innerWidth < 640;

const oneOf = (word, known, usual) => (known.includes(word) ? word : usual);

/* Whoever sends a link writes the address: a word that means nothing is left out. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const items = (name) => given.getAll(name).map((key) => model.byKey.get(key)).filter(Boolean);
  view.page = oneOf(given.get("view"), PAGES.map(([name]) => name), isNarrow() ? "flows" : "matrix");
  view.state = oneOf(given.get("state"), Object.keys(model.states), "now");
  view.query = given.get("q") || "";
  view.only = oneOf(given.get("only"), Object.keys(ONLY), "");
  view.kinds = new Set(given.getAll("kind"));
  view.hidden = new Set(given.getAll("hide"));
  view.order = oneOf(given.get("order"), Object.keys(ORDERS), "mesh");
  view.size = Number(oneOf(given.get("size"), ["-1", ...SIZES.map(String)], "0"));
  view.changes = given.has("changes") ? given.get("changes") === "1" : opensChanges();
  view.theme = oneOf(given.get("theme"), ["dark", "light"], "");
  const opened = given.has("open") ? items("open") : fewOutside() ? [{ group: model.outside }] : [];
  view.open = new Set(opened.map((item) => item.group));
  const [from, to] = [items("sel")[0], items("to")[0]];
  view.selected = from ? (to ? [from, to] : [from]) : null;
}

function address() {
  const found = new URLSearchParams();
  const put = (name, value, usual) => { if (value !== usual && value !== "") found.set(name, value); };
  put("view", view.page, isNarrow() ? "flows" : "matrix");
  put("state", view.state, "now");
  put("q", view.query);
  put("only", view.only);
  for (const kind of [...view.kinds].sort()) found.append("kind", kind);
  for (const layer of [...view.hidden].sort()) found.append("hide", layer);
  const opened = [...view.open].map((group) => model.key({ group, peer: -1 })).sort();
  if (opened.join("\n") !== (fewOutside() ? "*outside" : "")) {
    for (const key of opened.length ? opened : [""]) found.append("open", key);
  }
  put("order", view.order, "mesh");
  put("size", String(view.size), "0");
  put("changes", view.changes ? "1" : "0", opensChanges() ? "1" : "0");
  put("theme", view.theme);
  (view.selected || []).forEach((item, place) => found.set(place ? "to" : "sel", model.key(item)));
  return found.toString().replace(/%2F/g, "/").replace(/%2A/g, "*");
}

function writeAddress() {
  const hash = address();
  if (location.hash.slice(1) !== hash) history.replaceState(null, "", `#${hash}`);
}
