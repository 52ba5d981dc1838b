/* One pair: the path from source to destination with the policy and rule that decides on each side. */
function pairDetails(from, to) {
  const state = current(), source = from.peer, destination = to.peer, flows = flowsBetween(state, from, to);
  if (source === destination) {
    return [...crumb(from, to), verdict("none", "A workload to itself. Policies count between its replicas too; the list leaves that out.")];
  }
  const ports = state.allowed(source, destination);
  const arrival = ports ? `${capital(model.ports.text(ports))} may arrive.` : "Nothing arrives.";
  return [
    ...crumb(from, to), verdictOf(from, to), ...changeWords(source, destination),
    heading("Path", null),
    h("ol", { class: "path" }, pathEnd(source, capital(model.kind(source))), ...gateSteps(flows, "outset"),
      pathSide("egress", source, destination, flows), pathSide("ingress", destination, source, flows), ...decisions(flows),
      ...gateSteps(flows, "arrival"), pathEnd(destination, `${capital(model.kind(destination))}. ${arrival}`)),
    ...remedySection(flows), ...flowSection(flows), ...explainSection(source, destination, flows, ports),
  ];
}

function changeWords(source, destination) {
  const state = current(), other = compared();
  if (!other) return [];
  const [before, after] = [other, state].map((each) => each.allowed(source, destination));
  if (before === after) return [];
  return [h("p", { class: "hint" }, `${stateName(other.name)}: ${model.ports.text(before)}. ${stateName(state.name)}: ${model.ports.text(after)}.`)];
}

function step(tone, title, ...details) {
  const sign = { pass: "✓", stop: "✕", end: "●", doubt: "?" }[tone];
  return h("li", { class: tone }, h("span", { class: "dot", "aria-hidden": "true" }, sign), h("p", { class: "title" }, title), details);
}

const note = (...words) => h("p", { class: "detail" }, words);
const pathEnd = (peer, words) => step("end", model.full(peer), note(words));

/* What policies of tiers and further gates say of the required flows of a pair. */
function decisions(flows) {
  const said = [...new Set(flows.map((flow) => flow.decided).filter(Boolean))];
  const tone = (words) => (words.includes("denied by") ? "stop" : words.includes("perhaps") ? "doubt" : "pass");
  return said.map((words) => step(tone(words), "Policy tiers", note(words)));
}

const GATES = {
  injection: "Mesh", "sidecar-scope": "Sidecar scope", mtls: "Mutual TLS", "request-authentication": "Request authentication",
  authorization: "Authorization",
};
const GATE_TONES = { 1: "pass", 0: "stop", "-1": "doubt" };

/* What the required flows of a pair pass besides network policies, where they begin or where they end. */
function gateSteps(flows, end) {
  const found = new Map(flows.flatMap((flow) => flow[end]).map((gate) => [gate.join("|"), gate]));
  return [...found.values()].map(([gate, passes, text]) => step(GATE_TONES[passes], GATES[gate] || gate, note(text)));
}

/* One side: what isolates the pods, which rules name the peer, and what gets through. */
function pathSide(side, subject, peer, flows) {
  const verb = side === "egress" ? "Leaving" : "Entering", state = current();
  if (model.isOutside(subject)) {
    return step("pass", side === "egress" ? "Comes from outside" : "Goes outside", note("No policy of this cluster governs this side."));
  }
  const name = model.short(subject);
  if (model.isHostNetwork(subject)) return step("pass", `${name} runs in the host's network`, note("Policies don't govern this side."));
  if (!state.has(subject)) return step("stop", `${name} is not there`, note(`It is not in this state of the cluster.`));
  const bit = side === "egress" ? DENIED_EGRESS : DENIED_INGRESS, isStopped = flows.some((flow) => flow.marks & bit);
  const through = (side === "egress" ? state.leaving(subject) : state.entering(subject))[peer];
  const policies = state.isolatedBy(side, subject).map((number) => model.doc.policies[number]), tiers = state.tiers(side, subject);
  const unread = state.notEvaluated(side, subject).map((title) => note(`${title} selects it and is not evaluated.`));
  if (!policies.length && !tiers.length) {
    return step("pass", `${verb} ${name}: open`, note(`No policy selects it for ${side}, so everything may pass.`), unread);
  }
  const isNamed = !model.isNameOnly(peer), title = `${verb} ${name}: ${throughWords(through, isStopped, isNamed)}`;
  return step(isStopped || (isNamed && !through) ? "stop" : "pass", title,
    policies.length ? note(`${plural(policies.length, "policy isolates", "policies isolate")} it for ${side}; only what a rule allows may pass.`) : null,
    tiers.map((each) => note(`${each} selects it.`)), unread, rankedPolicies(policies, side, peer));
}

function throughWords(through, isStopped, isNamed) {
  if (!isNamed) return isStopped ? "what is required does not get through" : "isolated";
  if (!through) return "nothing gets through";
  if (isStopped) return `only ${model.ports.text(through)} gets through`;
  return through === EVERY_PORT ? "every port gets through" : `${model.ports.text(through)} gets through`;
}

/* The policies, those that admit the peer first. */
function rankedPolicies(policies, side, peer) {
  const ranked = policies.map((policy) => {
    const admitting = (policy.rules[side] || []).map((rule, place) => (rule.anybody || model.inSet(rule.peers, peer) ? place : -1));
    return [policy, admitting.filter((place) => place >= 0)];
  });
  return ranked.sort((left, right) => right[1].length - left[1].length).map(([policy, places]) => policyBox(policy, side, places));
}

const rulePorts = (rule) => (rule.ports || []).map(([protocol, port, last]) => {
  if (port === null) return `every ${protocol} port`;
  return last ? `${protocol} ${port}–${last}` : `${protocol} ${port}`;
}).join(", ") || "every port";

function policyTags(policy, side, places) {
  if (!side) return [];
  const rules = policy.rules[side] || [];
  const idle = rules.map((rule, place) => (rule.matchesNobody ? place : -1)).filter((place) => place >= 0);
  const allowed = places.length
    ? tag("ok", `${side}[${places.join(", ")}] allows ${[...new Set(places.map((place) => rulePorts(rules[place])))].join("; ")}`)
    : rules.length ? tag("", "no rule names this peer") : tag("bad", "allows nothing");
  return [allowed, idle.length ? tag("warn", `${side}[${idle.join(", ")}] matches no pod`) : null];
}

function policyBox(policy, side, places) {
  const box = h("details", { class: "policy" }, h("summary", {}, `${policy.namespace}/${policy.name} `, policyTags(policy, side, places)));
  box.addEventListener("toggle", () => {
    if (!box.open || box.querySelector("pre")) return;
    if (policy.place) box.append(h("p", { class: "hint place" }, policy.place));
    box.append(policyYaml(policy, side, places));
  });
  return box;
}

/* The policy as YAML, with the rules marked that admit the peer. */
function policyYaml(policy, side, places) {
  const [head, egress, ingress] = model.doc.specs[policy.spec];
  const yaml = h("pre", { tabindex: 0, role: "region", "aria-label": `YAML of ${policy.namespace}/${policy.name}` });
  yaml.append(`apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: ${scalar(policy.name)}\n  namespace: ${scalar(policy.namespace)}\nspec:\n${head}`);
  for (const [name, rules] of [["ingress", ingress], ["egress", egress]]) {
    if (rules.length) yaml.append(`  ${name}:\n`);
    rules.forEach((text, place) => yaml.append(name === side && places.includes(place) ? h("mark", {}, text.replace(/\n$/, "")) : text));
  }
  return yaml;
}

const flowTag = (flow) => (flow.isCut ? tag("bad", "cut") : flow.isUnknown ? tag("warn", "not known") : tag("ok", "allowed"));
const objectWords = ([kind, namespace, name, place]) => `${kind} ${namespace ? `${namespace}/` : ""}${name}${place ? ` · ${place}` : ""}`;

function flowSection(flows) {
  if (!flows.length) return [];
  return [heading("Required here", num(flows.length)), h("ul", { class: "reasons" }, flows.slice(0, 60).map((flow) => h("li", {},
    flowTag(flow), " ", h("b", {}, portOf(flow)), ` ${flow.kind}`,
    h("div", { class: "detail" }, `because ${flow.reason}${flow.doubt ? `; ${flow.doubt}` : ""}`),
    h("div", { class: "hint mono" }, objectWords(flow.object)))))];
}

/* The command that says the same in a terminal; none where an end is known by a description only, nor for what
   was before a change, as PATH is what comes after it. */
function explainSection(source, destination, flows, ports) {
  const from = spoken(source), to = spoken(destination);
  if (view.state === "before" || !from || !to || (model.isOutside(source) && model.isOutside(destination))) return [];
  const [protocol, port] = flows[0] ? [flows[0].protocol, flows[0].port] : ports > EVERY_PORT ? model.ports.rows[ports][0] : ["TCP", 80];
  const probe = `${/^[\da-f]*:[\da-f:.]*$/.test(to) ? `[${to}]` : to}:${port}${protocol === "TCP" ? "" : `/${protocol}`}`;
  const command = `istio-netpol explain ${model.doc.readFrom || "PATH"} --from ${shellWord(from)} --to ${shellWord(probe)}${view.state === "deny-all" ? " --assume-deny-all" : ""}`;
  return [heading("Check it yourself", null, h("span", { class: "act" }, copyButton(command, "Copy command"))),
    h("pre", { tabindex: 0, role: "region", "aria-label": "Command" }, command)];
}

/* A peer as a command takes it: with its kind where two workloads share a name. */
function spoken(peer) {
  if (model.isOutside(peer)) {
    const { kind, name, address } = model.outsidePeer(peer);
    return kind === "addresses" ? address : kind === "others" ? "" : name;
  }
  const isAlone = model.members[model.home[peer]].every((other) => other === peer || model.short(other) !== model.short(peer));
  return isAlone ? model.full(peer) : `${model.namespace(model.home[peer])}/${model.kind(peer)}/${model.short(peer)}`;
}

const shellWord = (text) => (/^[\w.:/@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
