"""AuthorizationPolicy with action ALLOW: the clients that a policy names connect to the pods that it
protects.

Whoever lets a client in by name expects its connections, so an ALLOW counts as declared communication, and as
the consent of the called namespace. A policy that names nobody in particular asks for nothing: rules without
sources, `*`, and policies for the whole mesh. DENY and AUDIT ask for nothing either. Ports are those that
`to.operation.ports` or a condition on `destination.port` names; without those all TCP ports that the pods are
known to serve, less `notPorts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from istio_netpol.istio.authorized_clients import Unreadable, clients_of
from istio_netpol.istio.hbone import HBONE_PORT, wire_port
from istio_netpol.istio.offered_ports import served_ports
from istio_netpol.istio.policy_attachment import Target, is_mesh_wide, targets
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.istio_security import (
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    PortMatch,
)
from istio_netpol.model.workloads import Workload
from istio_netpol.trust.identities import has_two_wildcards


def outcomes(policy: AuthorizationPolicy, view: MeshView) -> Iterator[Outcome]:
    """Flows from every client that an ALLOW policy names to every pod that it protects."""
    if policy.action != "ALLOW" or is_mesh_wide(view, policy):
        return
    protected = tuple(targets(view, policy))
    for index, rule in enumerate(policy.rules):
        ports = _Ports(rule, view)
        for position, source in enumerate(rule.sources):
            field = f"spec.rules[{index}].from[{position}].source"
            yield from _useless_patterns(policy, source, field)
            for client in clients_of(view, source, policy.ref.namespace):
                if isinstance(client, Unreadable):
                    yield unknown(
                        policy.ref,
                        f"{field}.ipBlocks",
                        f"{client.value} is not an IP address or CIDR; correct it",
                    )
                    continue
                for target in protected:
                    yield from _flows(_Clause(policy, ports, field), client, target, view)


class _Clause(Struct, frozen=True):
    """One `from` of a rule; `field` is its path."""

    policy: AuthorizationPolicy
    ports: _Ports
    field: str


def _flows(clause: _Clause, client: Peer, target: Target, view: MeshView) -> Iterator[RequiredFlow]:
    for pod, port in _entrances(clause.ports, client, target, view):
        if isinstance(client, PodsPeer) and client.workload is pod:
            continue
        yield RequiredFlow(
            kind=FlowKind.WORKLOAD_TO_WORKLOAD,
            object=clause.policy.ref,
            source=client,
            destination=PodsPeer(pod),
            protocol=Protocol.TCP,
            port=port,
            reason=f"{clause.policy.ref} allows {client} to call {pod.ref}",
            field=clause.field,
        )


def _entrances(ports: _Ports, client: Peer, target: Target, view: MeshView) -> Iterator[tuple[Workload, int]]:
    """The pods that the client connects to, and the ports on the wire: a waypoint's, where the client passes
    through one."""
    if isinstance(client, PodsPeer) and view.is_ambient(client.workload) and target.proxies != target.pods:
        yield from ((waypoint, HBONE_PORT) for waypoint in target.proxies)
        return
    for pod in target.pods:
        for port in ports.of(pod):
            yield pod, wire_port(view, client, PodsPeer(pod), Protocol.TCP, port)


class _Ports:
    """The ports that a rule opens, among those that it names itself and those that the pods serve. They are
    the same for all of its clients, and worked out once."""

    def __init__(self, rule: AuthorizationRule, view: MeshView) -> None:
        self._view = view
        self._named = {port for matched in (*rule.operations, *rule.conditions) for port in matched.ports}
        self._operations = _PortMatches(rule.operations)
        self._conditions = [_PortMatches((condition,)) for condition in rule.conditions]
        self._known: dict[Workload, tuple[int, ...]] = {}

    def of(self, pod: Workload) -> tuple[int, ...]:
        """The ports on which the rule lets its clients call these pods, ascending."""
        found = self._known.get(pod)
        if found is None:
            every = self._named.union(served_ports(self._view, pod))
            self._view.spend(len(every) * (1 + len(self._conditions)))
            found = self._known[pod] = tuple(port for port in sorted(every) if self._admits(port))
        return found

    def _admits(self, port: int) -> bool:
        return self._operations.admit(port) and all(condition.admit(port) for condition in self._conditions)


class _PortMatches:
    """Several port matches of which one is enough; an empty list admits every port."""

    def __init__(self, matches: Sequence[PortMatch]) -> None:
        self._admits_all = not matches
        self._listed = {port for match in matches for port in match.ports if match.admits(port)}
        exclusions = [set(match.not_ports) for match in matches if not match.ports]
        self._excluded = set.intersection(*exclusions) if exclusions else None

    def admit(self, port: int) -> bool:
        if self._admits_all or port in self._listed:
            return True
        return self._excluded is not None and port not in self._excluded


def _useless_patterns(
    policy: AuthorizationPolicy, source: AuthorizationSource, field: str
) -> Iterator[Outcome]:
    for name, entries in (("principals", source.principals), ("namespaces", source.namespaces)):
        for entry in entries:
            if has_two_wildcards(entry):
                sentence = (
                    f"{entry} matches nobody, because Istio knows a wildcard at one end of a value only; "
                    "name the namespaces"
                )
                yield unknown(policy.ref, f"{field}.{name}", sentence)


RULE = Rule(
    name="authorization-sources",
    kind=FlowKind.WORKLOAD_TO_WORKLOAD,
    subjects=(AuthorizationPolicy,),
    sources=(
        "https://istio.io/latest/docs/reference/config/security/authorization-policy/#Source (Istio 1.28)",
        "https://istio.io/latest/docs/reference/config/security/conditions/ (Istio 1.28)",
        "istio/istio pilot/pkg/security/authz/matcher/string.go and "
        "pilot/pkg/security/trustdomain/bundle.go (Istio 1.28)",
    ),
    outcomes=outcomes,
)
