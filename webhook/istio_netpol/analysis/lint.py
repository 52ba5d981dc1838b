"""What is odd about the policies themselves, whatever flows are required."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.failures import Failure
from istio_netpol.model.findings import Finding, Issue, Severity, not_judged
from istio_netpol.model.limits import NOT_CONTAINED
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPort, PolicyRule
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

DNS_PORTS = frozenset({53, 1053, 5353, 8053})


def lint(snapshot: Snapshot, view: MeshView) -> Iterator[Finding]:
    """Policies that select nothing, name in-pod ports, or open ports to every address."""
    for policy in snapshot.every(NetworkPolicy):
        yield from _contained(policy, snapshot, view)


def _contained(policy: NetworkPolicy, snapshot: Snapshot, view: MeshView) -> Iterator[Finding]:
    """What is odd about one policy. An error in that ends what is said of this policy, and nothing else."""
    try:
        yield from _of_policy(policy, snapshot, view)
    except NOT_CONTAINED:
        raise
    except Exception as error:
        yield not_judged(policy.ref, Failure.of("lint", error))


def _of_policy(policy: NetworkPolicy, snapshot: Snapshot, view: MeshView) -> Iterator[Finding]:
    yield from _selects_nothing(policy, snapshot, view)
    for direction in Direction:
        for index, rule in enumerate(policy.rules(direction)):
            place = f"spec.{direction.lower()}[{index}]"
            yield from _in_pod_ports(policy, rule, place)
            if direction is Direction.EGRESS:
                yield from _broad(policy, rule, place)


def _selects_nothing(policy: NetworkPolicy, snapshot: Snapshot, view: MeshView) -> Iterator[Finding]:
    namespace = policy.namespace
    if not snapshot.workloads(namespace) or snapshot.select(namespace, policy.pod_selector):
        return
    to_come = view.predicted_workloads(namespace)
    if not any(policy.pod_selector.matches(each.labels) for each in to_come):
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


def _broad(policy: NetworkPolicy, rule: PolicyRule, place: str) -> Iterator[Finding]:
    if rule.peers or not rule.ports or all(_is_dns(port) for port in rule.ports):
        return
    ports = ", ".join(
        f"{port.protocol} {port.port if port.port is not None else 'all ports'}" for port in rule.ports
    )
    message = (
        f"{policy.ref}: {place} names ports ({ports}) but no peers, so it opens them to every address; "
        "name the peers beside the ports, in the same rule"
    )
    yield Finding(Issue.BROAD_POLICY, Severity.WARNING, policy.ref, message, field=place)


def _is_dns(port: PolicyPort) -> bool:
    return port.port in DNS_PORTS and port.end_port is None
