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

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const items = (name) => given.getAll(name).map((key) => model.byKey.get(key)).filter(Boolean);
  view.page = given.get("view") || (isNarrow() ? "flows" : "matrix");
  view.state = model.states[given.get("state")] ? given.get("state") : "now";
  view.query = given.get("q") || "";
  view.only = given.get("only") || "";
  view.kinds = new Set(given.getAll("kind"));
  view.hidden = new Set(given.getAll("hide"));
  view.order = given.get("order") || "mesh";
  view.size = Number(given.get("size")) || 0;
  view.changes = given.has("changes") ? given.get("changes") === "1" : opensChanges();
  view.theme = given.get("theme") || "";
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
