/* The rows and columns of the matrix: which, and in which order. */
let rows = [], columns = [];

const MESH_RANK = [/^istio-/, /^kube-/, /^(kyma-|knative-|cert-manager$|gatekeeper|kyverno)/];

function rank(group) {
  if (group === model.outside) return -1;
  const found = MESH_RANK.findIndex((pattern) => pattern.test(model.namespace(group)));
  return found < 0 ? MESH_RANK.length : found;
}

const ORDERS = {
  mesh: ["Mesh first", () => (left, right) => rank(left) - rank(right)],
  name: ["By name", () => () => 0],
  cut: ["Most cut first", () => byWeight(cutWeights())],
  wide: ["Widest first", () => byWeight(wideWeights())],
  alike: ["Alike together", () => byLikeness()],
};

const byWeight = (weights) => (left, right) => weights[right] - weights[left];

function cutWeights() {
  const weights = new Float64Array(model.groups);
  for (const flow of current().flows) {
    if (!flow.isCut) continue;
    weights[model.home[flow.source]]++;
    weights[model.home[flow.destination]]++;
  }
  return weights;
}

function wideWeights() {
  const weights = new Float64Array(model.groups), { wide } = current().grid;
  for (let from = 0; from < model.groups; from++) {
    for (let to = 0; to < model.groups; to++) {
      weights[from] += wide[from * model.groups + to];
      weights[to] += wide[from * model.groups + to];
    }
  }
  return weights;
}

/* Namespaces that may reach, and be reached by, the same ones come together. */
function byLikeness() {
  const { allowed, wide } = current().grid, signatures = [];
  for (let group = 0; group < model.groups; group++) {
    let text = "";
    for (let other = 0; other < model.groups; other++) {
      const out = group * model.groups + other, back = other * model.groups + group;
      text += `${allowed[out] ? (wide[out] ? 2 : 1) : 0}${allowed[back] ? 1 : 0}`;
    }
    signatures.push(text);
  }
  return (left, right) => (signatures[left] === signatures[right] ? 0 : signatures[left] < signatures[right] ? 1 : -1);
}

function orderedGroups(groups) {
  const words = [...asked.words, ...asked.from, ...asked.to];
  const isNamed = (group) => words.some((word) => isMatch({ group, peer: -1 }, word));
  const compare = (ORDERS[view.order] || ORDERS.mesh)[1]();
  return groups.sort((left, right) =>
    Number(right === model.outside) - Number(left === model.outside) ||
    (words.length ? Number(isNamed(right)) - Number(isNamed(left)) : 0) ||
    compare(left, right) || byText(model.namespace(left), model.namespace(right)));
}

/* The namespaces of which a cell fits the search and the filters, as sources and as destinations. */
function keptGroups(groups) {
  const kept = { rows: new Set(), columns: new Set() };
  for (const from of groups) {
    for (const to of groups) {
      const cell = cellOf({ group: from, peer: -1 }, { group: to, peer: -1 });
      if (cell.isHit && isFilled(cell)) {
        kept.rows.add(from);
        kept.columns.add(to);
      }
    }
  }
  for (const [side, words] of [["rows", [...asked.words, ...asked.from]], ["columns", [...asked.words, ...asked.to]]]) {
    if (!words.length) continue;
    for (const group of groups) if (words.every((word) => isMatch({ group, peer: -1 }, word))) kept[side].add(group);
  }
  if (view.only === "open") for (const group of openNamespaces) kept.rows.add(group) && kept.columns.add(group);
  return kept;
}

function arrangeAxes() {
  const groups = [];
  for (let group = 0; group < model.groups; group++) if (model.members[group].length) groups.push(group);
  const kept = isNarrowed() ? keptGroups(groups) : null, ordered = orderedGroups(groups);
  const axis = (side) => ordered.filter((group) => !kept || kept[side].has(group)).flatMap((group) => [
    { group, peer: -1 },
    ...(view.open.has(group) ? model.members[group].filter((peer) => isListed(peer, side)).map((peer) => ({ group, peer })) : []),
  ]);
  rows = axis("rows");
  columns = axis("columns");
}

/* Who is known by a name only is shown on the side on which required flows have it. */
function isListed(peer, side) {
  return !model.isNameOnly(peer) || current().named[side].has(peer);
}
