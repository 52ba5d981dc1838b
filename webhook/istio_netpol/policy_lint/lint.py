"""What is odd about the policies themselves, whatever flows are required."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.failures import NOT_CONTAINED, Failure
from istio_netpol.model.findings import Finding, Issue, Severity, not_judged
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.platforms.network_model import network_model
from istio_netpol.policy_lint.narrower import RulePlace, narrowed
from istio_netpol.policy_lint.redundancy import needless
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.policy_lint.wide_policies import (
    split_findings,
    split_places,
    wide_findings,
    wide_places,
    wide_selector,
)
from istio_netpol.policy_lint.without_effect import AddressBook, dead_peers, of_rule
from istio_netpol.remedies.quota import is_generated
from istio_netpol.state.snapshot import Snapshot

IN_POD_PORTS = {
    15000: "Envoy's administration interface",
    15001: "where Envoy takes outbound traffic",
    15002: "Envoy's failure detection",
    15004: "the proxy agent's debug interface",
    15006: "where Envoy takes inbound traffic",
    15053: "the proxy agent's DNS",
}
"""Ports that sidecars use within a pod's own network namespace, never between pods (Istio 1.32,
ops/deployment/application-requirements)."""


def lint(uses: RuleUses, view: MeshView, *, in_full: bool = True) -> Iterator[Finding]:
    """What is odd about each policy. Without `in_full` only what one look at the policy tells, for a
    controller that judges its cluster again and again: no narrower forms, nothing that rests on others."""
    book = AddressBook(uses.snapshot, network_model(view.settings))
    policies: dict[str, list[NetworkPolicy]] = {}
    wide: set[str] = set()
    for policy in uses.snapshot.every(NetworkPolicy):
        policies.setdefault(policy.namespace, []).append(policy)
        findings = tuple(_contained(policy, uses, view, book, in_full))
        if any(
            finding.rule is Issue.BROAD_POLICY and finding.severity is Severity.WARNING
            for finding in findings
        ):
            wide.add(policy.key)
        yield from findings
    if in_full:
        for members in policies.values():
            yield from needless([policy for policy in members if not is_generated(policy)], wide)


def _contained(
    policy: NetworkPolicy, uses: RuleUses, view: MeshView, book: AddressBook, in_full: bool
) -> Iterator[Finding]:
    """What is odd about one policy. An error in that ends what is said of this policy, and nothing else."""
    try:
        yield from _of_policy(policy, uses, view, book, in_full)
    except NOT_CONTAINED:
        raise
    except Exception as error:
        yield not_judged(policy.ref, Failure.of("lint", error))


def _of_policy(
    policy: NetworkPolicy, uses: RuleUses, view: MeshView, book: AddressBook, in_full: bool
) -> Iterator[Finding]:
    nothing = list(_selects_nothing(policy, uses.snapshot, view))
    yield from nothing
    for direction in Direction:
        for index, rule in enumerate(policy.rules(direction)):
            yield from _in_pod_ports(policy, rule, f"spec.{direction.lower()}[{index}]")
    yield from _of_no_type(policy)
    if nothing:
        return
    wide = wide_places(policy, uses)
    if not in_full:
        yield from wide_findings(policy, wide, None, uses)
        return
    split = split_places(policy, uses.snapshot)
    narrower = narrowed(policy, wide, split, uses)
    for (direction, index), rule in _rules(policy):
        dead = [] if (direction, index) in split else list(dead_peers(policy, direction, index, uses, view))
        if dead and len(dead) == len(rule.peers):
            wide.pop((direction, index), None)
        yield from of_rule(policy, direction, index, dead, uses, book)
    yield from wide_findings(policy, wide, narrower, uses)
    yield from split_findings(policy, split, narrower)
    if not wide and not split:
        yield from wide_selector(policy, uses)


def _rules(policy: NetworkPolicy) -> Iterator[tuple[RulePlace, PolicyRule]]:
    """The rules of a policy that count, and where they stand."""
    for direction in Direction:
        if direction in policy.policy_types:
            for index, rule in enumerate(policy.rules(direction)):
                yield (direction, index), rule


def _of_no_type(policy: NetworkPolicy) -> Iterator[Finding]:
    """Rules of a direction that policyTypes leaves out."""
    for direction in Direction:
        if policy.rules(direction) and direction not in policy.policy_types:
            place = f"spec.{direction.lower()}"
            message = (
                f"{policy.ref}: {place} has rules, but spec.policyTypes does not name {direction}, so they "
                f"do nothing; add {direction} to spec.policyTypes, which also isolates the pods in that "
                "direction, or delete the rules"
            )
            yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.WARNING, policy.ref, message, field=place)


def _selects_nothing(policy: NetworkPolicy, snapshot: Snapshot, view: MeshView) -> Iterator[Finding]:
    namespace = policy.namespace
    if not snapshot.workloads(namespace) or snapshot.select(namespace, policy.pod_selector):
        return
    to_come = view.predicted_workloads(namespace)
    if not any(policy.pod_selector.matches(workload.labels) for workload in to_come):
        message = f"{policy.ref}: spec.podSelector matches no workload of namespace {policy.namespace}"
        yield Finding(
            Issue.POLICY_SELECTS_NOTHING, Severity.INFO, policy.ref, message, field="spec.podSelector"
        )


def _in_pod_ports(policy: NetworkPolicy, rule: PolicyRule, place: str) -> Iterator[Finding]:
    for index, port in enumerate(rule.ports):
        if port.port in IN_POD_PORTS and port.end_port is None:
            path = f"{place}.ports[{index}].port"
            message = (
                f"{policy.ref}: {path} {port.port} is {IN_POD_PORTS[int(port.port)]}; "
                "it never crosses the network between pods, so the rule allows nothing that is needed"
            )
            yield Finding(Issue.IN_POD_PORT, Severity.WARNING, policy.ref, message, field=path)
