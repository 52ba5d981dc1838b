/* What a cell of the matrix says. A cell is a pair of items: namespaces, workloads, peers outside. */
let cells = new Map();
let version = 0;
let changeCounts = null;

const isShown = (flow) => !view.kinds.size || view.kinds.has(flow.kind);
const peersOf = (item) => (item.peer >= 0 ? [item.peer] : model.members[item.group]);
const isSame = (left, right) => Boolean(left && right) && left.group === right.group && left.peer === right.peer;
const isBeyond = (from, to) => from.group === model.outside && to.group === model.outside;

function flowsBetween(state, from, to) {
  if (from.peer >= 0 && to.peer >= 0) return state.byPair.get(from.peer * model.peers + to.peer) || [];
  const found = state.byGroups.get(from.group * model.groups + to.group) || [];
  return found.filter((flow) => (from.peer < 0 || flow.source === from.peer) && (to.peer < 0 || flow.destination === to.peer));
}

/* How many pairs could be allowed. Whole groups count those with a name outside that required flows are about. */
function pairCount(from, to) {
  if (isBeyond(from, to)) return 0;
  if (from.peer >= 0 && to.peer >= 0) return 1;
  const located = (item) => peersOf(item).filter((peer) => !model.isNameOnly(peer)).length;
  const sources = located(from), destinations = located(to);
  if (from.peer >= 0 || to.peer >= 0) return sources * destinations || 1;
  const own = from.group === to.group ? sources : 0;
  return sources * destinations - own + (current().namedPairs.get(from.group * model.groups + to.group) || 0);
}

function allowedCounts(state, from, to) {
  if (from.peer < 0 && to.peer < 0) {
    const place = from.group * model.groups + to.group;
    return [state.grid.allowed[place], state.grid.wide[place]];
  }
  let allowed = 0, wide = 0;
  for (const source of peersOf(from)) {
    for (const destination of peersOf(to)) {
      const ports = state.allowed(source, destination);
      allowed += ports > 0;
      wide += ports === EVERY_PORT;
    }
  }
  return [allowed, wide];
}

function changeCountsBetween(state, other, from, to) {
  if (from.peer < 0 && to.peer < 0) {
    if (changeCounts?.state !== state || changeCounts.other !== other) {
      changeCounts = { state, other, ...countChanges(state, other) };
    }
    const place = from.group * model.groups + to.group;
    return [changeCounts.gained[place], changeCounts.lost[place]];
  }
  let gained = 0, lost = 0;
  for (const source of peersOf(from)) {
    for (const destination of peersOf(to)) {
      const after = state.allowed(source, destination), before = other.allowed(source, destination);
      if (after === before) continue;
      const kept = model.ports.both(before, after);
      gained += kept !== after;
      lost += kept !== before;
    }
  }
  return [gained, lost];
}

function cellOf(from, to) {
  const key = (from.peer < 0 ? -1 - from.group : from.peer) * 100003 + (to.peer < 0 ? -1 - to.group : to.peer);
  const known = cells.get(key);
  if (known) return known;
  const state = current(), other = compared(), [allowed, wide] = allowedCounts(state, from, to);
  const cell = { allowed, wide, pairs: pairCount(from, to), cut: 0, needed: 0, unknown: 0, egress: 0, ingress: 0, gained: 0, lost: 0 };
  for (const flow of flowsBetween(state, from, to)) {
    if (!isShown(flow) || (asked.port && flow.port !== asked.port)) continue;
    if (flow.isUnknown) cell.unknown++;
    else if (!flow.isCut) cell.needed++;
    else {
      cell.cut++;
      cell.egress += (flow.marks & DENIED_EGRESS) > 0;
      cell.ingress += (flow.marks & DENIED_INGRESS) > 0;
    }
  }
  if (other) [cell.gained, cell.lost] = changeCountsBetween(state, other, from, to);
  cell.isHit = isHit(from, to, cell);
  cells.set(key, cell);
  return cell;
}

const flowCount = (cell) => cell.cut + cell.needed + cell.unknown;

function hasPort(from, to) {
  const state = current();
  return peersOf(from).some((source) => peersOf(to).some((destination) => {
    const ports = state.allowed(source, destination);
    return ports > 0 && model.ports.has(ports, asked.port);
  }));
}

function isHit(from, to, cell) {
  if (!areMatches(from, to)) return false;
  if (asked.port && !flowCount(cell) && !(cell.allowed && hasPort(from, to))) return false;
  if (view.kinds.size && !flowCount(cell)) return false;
  if (compared() && !(cell.gained + cell.lost)) return false;
  const isWorld = (item) => item.peer === model.internet || (item.group === model.outside && item.peer < 0);
  switch (view.only) {
    case "cut": return cell.cut > 0;
    case "open": return openNamespaces.has(from.group) || openNamespaces.has(to.group);
    case "wide": return cell.wide > 0 && !(cell.cut + cell.needed);
    case "world": return (isWorld(from) || isWorld(to)) && cell.allowed > 0;
    case "unknown": return cell.unknown > 0;
    default: return true;
  }
}

const isFilled = (cell) => flowCount(cell) + cell.gained + cell.lost > 0 || (cell.allowed > 0 && !view.hidden.has("excess"));

/* Required flows that the comparison says are newly cut, and those that are mended. */
let flowChangesKnown = null;
function flowChanges() {
  const state = current(), other = compared();
  if (!other) return null;
  if (flowChangesKnown?.version === version) return flowChangesKnown;
  const keyed = (flows) => new Map(flows.map((flow) => [flowKey(model, flow), flow]));
  const was = keyed(other.flows), is = keyed(state.flows);
  const cut = state.flows.filter((flow) => flow.isCut && isShown(flow) && !was.get(flowKey(model, flow))?.isCut);
  const mended = other.flows.filter((flow) => {
    const now = is.get(flowKey(model, flow));
    return flow.isCut && isShown(flow) && now && !now.isCut;
  });
  flowChangesKnown = { version, cut, mended };
  return flowChangesKnown;
}
