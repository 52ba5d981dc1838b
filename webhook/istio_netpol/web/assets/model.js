/* The document in memory: peers by number, port sets, and the states. It only intersects what the document says;
   selectors, CIDRs and port names were judged by the program that wrote it. */
const EVERY_PORT = 1;
const DENIED_EGRESS = 1, DENIED_INGRESS = 2, NOT_KNOWN = 4, BY_IP_BLOCK = 8, IS_WARNING = 16;

class Model {
  constructor(doc) {
    this.doc = doc;
    this.workloads = doc.workloads.length;
    this.peers = this.workloads + doc.outside.length;
    this.outside = doc.namespaces.length;
    this.groups = this.outside + 1;
    this.home = new Int32Array(this.peers).fill(this.outside);
    doc.workloads.forEach(([namespace], number) => { this.home[number] = namespace; });
    this.members = Array.from({ length: this.groups }, () => []);
    for (let peer = 0; peer < this.peers; peer++) this.members[this.home[peer]].push(peer);
    this.internet = this.workloads;
    this.ports = new Ports(doc.ports);
    this.byProfile = new Map();
    this.byKey = new Map();
    for (let group = 0; group < this.groups; group++) this.index({ group, peer: -1 });
    for (let peer = 0; peer < this.peers; peer++) this.index({ group: this.home[peer], peer });
    this.states = {};
    for (const [name, facts] of Object.entries(doc.states)) this.states[name] = new State(this, name, facts);
  }

  index(item) { this.byKey.set(this.key(item), item); }

  /* The name of an item in the address bar: it holds for tomorrow's document too. */
  key({ group, peer }) {
    if (peer < 0) return group === this.outside ? "*outside" : this.doc.namespaces[group].name;
    if (peer < this.workloads) return `${this.doc.namespaces[group].name}/${this.kind(peer)}/${this.short(peer)}`;
    return `*${this.kind(peer)}/${this.short(peer)}`;
  }

  isOutside(peer) { return peer >= this.workloads; }
  outsidePeer(peer) { return this.doc.outside[peer - this.workloads]; }
  short(peer) { return this.isOutside(peer) ? this.outsidePeer(peer).name : this.doc.workloads[peer][2]; }
  kind(peer) { return this.isOutside(peer) ? this.outsidePeer(peer).kind : this.doc.workloads[peer][1]; }
  place(peer) { return this.isOutside(peer) ? "" : this.doc.workloads[peer][3]; }
  isHostNetwork(peer) { return !this.isOutside(peer) && this.doc.workloads[peer][4] === 1; }
  isNameOnly(peer) { return this.isOutside(peer) && this.outsidePeer(peer).kind !== "addresses"; }
  namespace(group) { return group === this.outside ? "outside the cluster" : this.doc.namespaces[group].name; }
  full(peer) {
    return this.isOutside(peer) ? this.short(peer) : `${this.namespace(this.home[peer])}/${this.short(peer)}`;
  }
  label({ group, peer }) { return peer < 0 ? this.namespace(group) : this.full(peer); }

  /* The number of the open ports for each peer, of one profile. */
  profile(number) {
    let found = this.byProfile.get(number);
    if (!found) {
      found = new Uint16Array(this.peers);
      const cells = number < 0 ? [] : this.doc.profiles[number];
      for (let k = 0; k < cells.length; k += 2) {
        const runs = this.doc.sets[cells[k + 1]];
        for (let r = 0; r < runs.length; r += 2) found.fill(cells[k], runs[r], runs[r] + runs[r + 1]);
      }
      this.byProfile.set(number, found);
    }
    return found;
  }

  inSet(set, peer) {
    const runs = this.doc.sets[set];
    for (let r = 0; r < runs.length; r += 2) if (peer >= runs[r] && peer < runs[r] + runs[r + 1]) return true;
    return false;
  }
}

class Ports {
  constructor(rows) {
    this.rows = rows.slice();
    this.numbers = new Map(rows.map((row, number) => [JSON.stringify(row), number]));
    this.common = new Map();
  }

  number(rows) {
    const text = JSON.stringify(rows), known = this.numbers.get(text);
    if (known !== undefined) return known;
    this.numbers.set(text, this.rows.length);
    return this.rows.push(rows) - 1;
  }

  both(left, right) {
    if (left === right || right === EVERY_PORT) return left;
    if (left === EVERY_PORT) return right;
    if (!left || !right) return 0;
    const key = left < right ? left * 65536 + right : right * 65536 + left;
    let found = this.common.get(key);
    if (found === undefined) {
      const rows = [];
      for (const [protocol, low, high] of this.rows[left]) {
        for (const [other, first, last] of this.rows[right]) {
          const from = Math.max(low, first), to = Math.min(high, last);
          if (protocol === other && from <= to) rows.push([protocol, from, to]);
        }
      }
      found = this.number(rows);
      this.common.set(key, found);
    }
    return found;
  }

  has(number, port) { return this.rows[number].some(([, low, high]) => port >= low && port <= high); }

  text(number) {
    if (number === 0) return "nothing";
    if (number === EVERY_PORT) return "every port";
    return this.rows[number].map(([protocol, low, high]) => {
      if (low === 1 && high === 65535) return `every ${protocol} port`;
      return low === high ? `${protocol} ${low}` : `${protocol} ${low}–${high}`;
    }).join(", ");
  }
}

class State {
  constructor(model, name, facts) {
    Object.assign(this, { model, name, facts });
    this.flows = facts.flows.map((row, id) => flowOf(model.doc, row, id));
    this.byPair = new Map();
    this.byGroups = new Map();
    for (const flow of this.flows) {
      collect(this.byPair, flow.source * model.peers + flow.destination, flow);
      collect(this.byGroups, model.home[flow.source] * model.groups + model.home[flow.destination], flow);
    }
    this.named = { rows: new Set(this.flows.map((flow) => flow.source)), columns: new Set(this.flows.map((flow) => flow.destination)) };
    this.namedPairs = countNamedPairs(this);
    this.byName = new Map(facts.byName.map(([from, to, ports]) => [from * model.peers + to, ports]));
  }

  has(peer) { return this.model.isOutside(peer) || this.facts.egress.profiles[peer] >= 0; }
  leaving(source) { return this.model.profile(this.facts.egress.profiles[source]); }
  entering(destination) { return this.model.profile(this.facts.ingress.profiles[destination]); }

  /* The number of the ports that both sides let through. */
  allowed(source, destination) {
    const { model } = this;
    if (source === destination) return 0;
    if (model.isNameOnly(source) || model.isNameOnly(destination)) {
      return this.byName.get(source * model.peers + destination) || 0;
    }
    if (model.isOutside(source)) return model.isOutside(destination) ? 0 : this.entering(destination)[source];
    if (model.isOutside(destination)) return this.leaving(source)[destination];
    return model.ports.both(this.leaving(source)[destination], this.entering(destination)[source]);
  }

  isolatedBy(side, workload) { return this.facts.policyLists[this.facts[side].isolatedBy[workload]]; }
  tiers(side, workload) { return this.facts[side].tiers[workload] || []; }
  notEvaluated(side, workload) { return this.facts[side].notEvaluated[workload] || []; }
  isIsolated(side, workload) {
    return this.isolatedBy(side, workload).length + this.tiers(side, workload).length > 0;
  }

  get grid() { return (this.counted ||= countPairs(this)); }
}

function flowOf(doc, row, id) {
  const [kind, source, destination, protocol, port, marks, object, reason, remedies, doubt, decided, outset, arrival] = row;
  const text = (number) => doc.strings[number];
  const isCut = (marks & (DENIED_EGRESS | DENIED_INGRESS)) > 0;
  return {
    id, source, destination, port, marks, remedies, isCut,
    kind: text(kind), protocol: text(protocol), reason: text(reason), doubt: text(doubt), decided: text(decided),
    object: doc.objects[object], isUnknown: !isCut && (marks & NOT_KNOWN) > 0, isWarning: (marks & IS_WARNING) > 0,
    outset: outset.map((gate) => doc.gates[gate]), arrival: arrival.map((gate) => doc.gates[gate]),
    byIpBlock: (marks & BY_IP_BLOCK) > 0,
  };
}

const portOf = (flow) => `${flow.protocol} ${flow.port}`;
const flowKey = (model, flow) => [
  flow.kind, model.full(flow.source), model.full(flow.destination), flow.protocol, flow.port,
  ...flow.object.slice(0, 3),
].join("|");

/* Pairs of which one end is known by a name only, by pair of namespaces: those that required flows are about. */
function countNamedPairs({ model, byPair }) {
  const found = new Map();
  for (const key of byPair.keys()) {
    const source = Math.floor(key / model.peers), destination = key % model.peers;
    if (!model.isNameOnly(source) && !model.isNameOnly(destination)) continue;
    const place = model.home[source] * model.groups + model.home[destination];
    found.set(place, (found.get(place) || 0) + 1);
  }
  return found;
}

/* Allowed pairs, and those open on every port, by pair of namespaces. */
function countPairs(state) {
  const { model } = state, { groups, home, peers, workloads } = model;
  const allowed = new Uint32Array(groups * groups), wide = new Uint32Array(groups * groups);
  const into = Array.from({ length: workloads }, (_, number) => state.entering(number));
  let pairs = 0, widePairs = 0;
  for (let source = 0; source < peers; source++) {
    const base = home[source] * groups;
    const out = source < workloads ? state.leaving(source) : null;
    if (source >= workloads && model.isNameOnly(source)) continue;
    for (let destination = 0; destination < peers; destination++) {
      if (source === destination || (out && !out[destination])) continue;
      if (destination >= workloads && (!out || model.isNameOnly(destination))) continue;
      const entering = destination < workloads ? into[destination][source] : EVERY_PORT;
      const ports = entering && (out ? model.ports.both(out[destination], entering) : entering);
      if (!ports) continue;
      const cell = base + home[destination], inside = source < workloads && destination < workloads;
      allowed[cell]++;
      pairs += inside;
      if (ports === EVERY_PORT) {
        wide[cell]++;
        widePairs += inside;
      }
    }
  }
  for (const key of state.byName.keys()) {
    allowed[home[Math.floor(key / peers)] * groups + home[key % peers]]++;
  }
  return { allowed, wide, pairs, widePairs };
}

/* Pairs of workloads that gained or lost ports against another state, by pair of namespaces. */
function countChanges(state, other) {
  const { model } = state, { groups, home, peers } = model;
  const gained = new Uint32Array(groups * groups), lost = new Uint32Array(groups * groups);
  // Where both sides have the profiles that they had, there is nothing to compare.
  const isSameSide = (side) => Uint8Array.from({ length: peers }, (_, peer) =>
    Number(model.isOutside(peer) ? !model.isNameOnly(peer) : state.facts[side].profiles[peer] === other.facts[side].profiles[peer]));
  const leavesAlike = isSameSide("egress"), entersAlike = isSameSide("ingress");
  for (let source = 0; source < peers; source++) {
    for (let destination = 0; destination < peers; destination++) {
      if (leavesAlike[source] && entersAlike[destination]) continue;
      const after = state.allowed(source, destination), before = other.allowed(source, destination);
      if (after === before) continue;
      const cell = home[source] * groups + home[destination], kept = model.ports.both(before, after);
      if (kept !== before) lost[cell]++;
      if (kept !== after) gained[cell]++;
    }
  }
  return { gained, lost };
}
