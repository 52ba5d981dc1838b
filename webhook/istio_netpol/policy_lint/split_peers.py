"""An OR that was meant as AND: namespaceSelector and podSelector in two entries of `from` or `to`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.policy_lint.narrower import Place
from istio_netpol.state.snapshot import Snapshot


def split_places(policy: NetworkPolicy, snapshot: Snapshot) -> dict[Place, PolicyRule]:
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
    policy: NetworkPolicy, split: Mapping[Place, PolicyRule], narrower: NetworkPolicy | None
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
