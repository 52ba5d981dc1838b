"""Policies that open more than any flow needs: the finding, and the narrower form where one is known.

Some open it by an OR that was meant as AND: namespaceSelector and podSelector in two entries of `from` or
`to`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKind, PodsPeer
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.own_names import CALLS
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.model.references import ASSUMED
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.peers import names_pod
from istio_netpol.policy_lint.breadth import Breadth, breadth_of, far_end
from istio_netpol.policy_lint.narrower import RulePlace, for_fewer_pods
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.state.snapshot import Snapshot

EVERYBODYS = frozenset(
    {
        FlowKind.DNS,
        FlowKind.PROXY_TO_ISTIOD,
        FlowKind.GATEWAY_TO_ISTIOD,
        FlowKind.TRACING,
        FlowKind.SCRAPE,
        FlowKind.HBONE,
    }
)
"""Flows that all pods of a namespace may have: a policy for all of them is right, and names nobody's need."""

MOST_NAMES = 3
"""Workloads that a message names."""


def wide_places(policy: NetworkPolicy, uses: RuleUses) -> dict[RulePlace, Breadth]:
    """The rules that open something without bounds, and what."""
    found = {
        (direction, index): breadth_of(policy, direction, index, uses)
        for direction in Direction
        if direction in policy.policy_types
        for index in range(len(policy.rules(direction)))
    }
    return {place: breadth for place, breadth in found.items() if breadth}


def wide_findings(
    policy: NetworkPolicy, wide: Mapping[RulePlace, Breadth], narrower: NetworkPolicy | None, uses: RuleUses
) -> Iterator[Finding]:
    """A finding for each wide rule; all carry the same narrower policy. Peers without bounds are a warning,
    all ports of named peers and a private range on listed ports an info."""
    for (direction, index), breadth in wide.items():
        place = f"spec.{direction.lower()}[{index}]"
        rule, flows = policy.rules(direction)[index], uses.of(policy, direction, index)
        remedy: tuple[NetworkPolicy, ...] = ()
        advice = _to_ask(policy, direction, uses)
        if narrower is not None and flows:
            remedy = (narrower,)
            advice = _kept(flows) + _assumed(flows, direction, narrower, uses.snapshot)
        message = f"{policy.ref}: {place} {_opens(rule, breadth)}; {advice}"
        severity = Severity.WARNING if breadth.peers and not breadth.is_bounded else Severity.INFO
        yield Finding(Issue.BROAD_POLICY, severity, policy.ref, message, remedy=remedy, field=place)


def _opens(rule: PolicyRule, breadth: Breadth) -> str:
    if breadth.peers and breadth.ports:
        return f"opens {breadth.ports} to {breadth.peers}"
    if breadth.ports:
        return f"opens {breadth.ports}" + (" to the peers that it names" if rule.peers else "")
    if rule.peers:
        return f"opens its ports to {breadth.peers}"
    ports = ", ".join(f"{port.protocol} {port.port}" for port in rule.ports)
    return f"names ports ({ports}) but no peers, so it opens them to every address"


def _kept(flows: tuple[Judged, ...]) -> str:
    count = len({judged.flow.key for judged in flows})
    flows_text = "the required flow" if count == 1 else f"the {count} required flows"
    return (
        f"the narrower form in the remedy keeps {flows_text} through it and closes what nothing declares, so "
        f"let owners declare other connections first ({CALLS})"
    )


def _assumed(
    flows: tuple[Judged, ...], direction: Direction, narrower: NetworkPolicy, snapshot: Snapshot
) -> str:
    """Which pods the narrower form names by labels that nobody read."""
    ends = (far_end(judged, direction) for judged in flows)
    pods = (end.workload for end in ends if isinstance(end, PodsPeer) and end.workload.ref.file == ASSUMED)
    peers = [peer for rule in narrower.rules(direction) for peer in rule.selectors]
    names = sorted(
        {
            workload.name
            for workload in pods
            if any(names_pod(peer, narrower.namespace, workload, snapshot) for peer in peers)
        }
    )
    if not names:
        return ""
    return f"; it names {' and '.join(names)}, not in the input, by the labels that are assumed"


def _to_ask(policy: NetworkPolicy, direction: Direction, uses: RuleUses) -> str:
    """What a person has to find out where no object says who needs a rule."""
    pods = _named(uses.snapshot.select(policy.namespace, policy.pod_selector))
    asked = f"the owners of {pods}" if pods else "its author"
    whom = "who calls them" if direction is Direction.INGRESS else "whom they call"
    if not pods:
        whom = "who needs it"
    return (
        f"nothing that was read needs this, so no narrower form is known: ask {asked} {whom}, and name those "
        "peers and ports in the rule"
    )


def _named(workloads: tuple[Workload, ...]) -> str:
    """The first few workloads by name."""
    names = list(dict.fromkeys(str(workload.ref) for workload in workloads))
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return ", ".join(names)


def wide_selector(policy: NetworkPolicy, uses: RuleUses) -> Iterator[Finding]:
    """An info where a policy selects pods that don't need what it opens, and its others stay isolated."""
    judged = [
        (use, direction)
        for direction in policy.policy_types
        for index in range(len(policy.rules(direction)))
        for use in uses.of(policy, direction, index)
    ]
    if not judged or any(use.flow.kind in EVERYBODYS or use.flow.shared for use, _ in judged):
        return
    ends = [
        use.flow.source if direction is Direction.EGRESS else use.flow.destination
        for use, direction in judged
    ]
    needy = list({end.key: end.workload for end in ends if isinstance(end, PodsPeer)}.values())
    selected = uses.snapshot.select(policy.namespace, policy.pod_selector)
    if len(needy) >= len(selected):
        return
    narrower = for_fewer_pods(policy, needy, uses)
    if narrower is not None:
        message = (
            f"{policy.ref}: spec.podSelector selects {len(selected)} workloads, of which "
            f"{_named(tuple(needy))} alone is known to need what it opens; the remedy selects no other"
        )
        field = "spec.podSelector"
        yield Finding(Issue.BROAD_POLICY, Severity.INFO, policy.ref, message, remedy=(narrower,), field=field)


def split_places(policy: NetworkPolicy, snapshot: Snapshot) -> dict[RulePlace, PolicyRule]:
    """The rules in which both selectors were meant for the same pods, with their entries joined."""
    found = {
        (direction, index): _joined(rule, policy.namespace, snapshot)
        for direction in Direction
        if direction in policy.policy_types
        for index, rule in enumerate(policy.rules(direction))
    }
    return {place: rule for place, rule in found.items() if rule is not None}


def _joined(rule: PolicyRule, namespace: str, snapshot: Snapshot) -> PolicyRule | None:
    """The rule with one entry for both selectors; None where the podSelector matches pods of the policy's own
    namespace, which is what it says, or where those were not read."""
    pods = [peer for peer in rule.selectors if peer.namespace_selector is None]
    places = [peer for peer in rule.selectors if peer.namespace_selector and not peer.pod_selector]
    if not pods or not places or not snapshot.workloads(namespace):
        return None
    if any(snapshot.select(namespace, peer.pod_selector or EVERYTHING) for peer in pods):
        return None
    joined = [PolicyPeer(pod.pod_selector, place.namespace_selector) for place in places for pod in pods]
    others = [peer for peer in rule.peers if peer not in pods and peer not in places]
    return PolicyRule((*joined, *others), rule.ports)


def split_findings(
    policy: NetworkPolicy, split: Mapping[RulePlace, PolicyRule], narrower: NetworkPolicy | None
) -> Iterator[Finding]:
    """A warning for each of these rules, with the narrower form of the policy where it is known."""
    for direction, index in split:
        side = "from" if direction is Direction.INGRESS else "to"
        place = f"spec.{direction.lower()}[{index}].{side}"
        advice = "if pods of those namespaces are meant, write both selectors in one entry"
        message = (
            f"{policy.ref}: {place} has namespaceSelector and podSelector in two entries: it names every pod "
            f"of those namespaces; the podSelector means pods of namespace {policy.namespace}, where none "
            "matches; " + ("the remedy joins them, and keeps every required flow" if narrower else advice)
        )
        remedy = (narrower,) if narrower else ()
        yield Finding(Issue.BROAD_POLICY, Severity.WARNING, policy.ref, message, remedy=remedy, field=place)
