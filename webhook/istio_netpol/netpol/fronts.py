"""Which rules admit the ClusterIP of a Service, where policies are judged before a Service is translated.

The controller of the AWS VPC CNI adds to a selector peer the first ClusterIP of each Service in the peer's
namespaces whose own selector, taken as labels, satisfies the peer's podSelector. It finds the Service's port
by the port of the rule: where that is its targetPort, or a container port behind it
(aws/amazon-network-policy-controller-k8s v1.1.7, pkg/resolvers/endpoints.go, getMatchingServiceClusterIPs;
pkg/k8s/service_utils.go and pod_utils.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.model.addresses import Address
from istio_netpol.model.connections import ALL_CONNECTIONS, ConnectionSet, Protocol
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.services import Front, Service, ServicePort
from istio_netpol.model.verdicts import RuleRef
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot


def names_front(
    rule: PolicyRule, policy_namespace: str, front: Front, protocol: Protocol, snapshot: Snapshot
) -> bool:
    """Whether a selector peer of a rule admits a Service's ClusterIP on one of its ports."""
    return any(
        names_service(peer, policy_namespace, front.service, snapshot) for peer in rule.selectors
    ) and _admits(rule.ports, front, protocol, snapshot)


def brings_in(rule: PolicyRule, policy_namespace: str, service: Service, snapshot: Snapshot) -> bool:
    """Whether selector peers of a rule give a Service's ClusterIP any port."""
    return any(names_service(peer, policy_namespace, service, snapshot) for peer in rule.selectors) and (
        not rule.ports or any(True for _ in opened_on(rule.ports, service, snapshot))
    )


def names_service(peer: PolicyPeer, policy_namespace: str, service: Service, snapshot: Snapshot) -> bool:
    """Whether a selector peer brings in a Service. A headless one has no address of its own."""
    if peer.ip_block is not None or service.is_headless or service.external_name:
        return False
    if peer.namespace_selector is None:
        if service.namespace != policy_namespace:
            return False
    elif not peer.namespace_selector.matches(snapshot.namespace(service.namespace).labels):
        return False
    return peer.pod_selector is None or peer.pod_selector.matches(service.selector or {})


class OpenedFronts:
    """What rules open at the ClusterIPs of a snapshot's Services, worked out once for rules of the same peers
    and ports."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[object, tuple[tuple[Address, ConnectionSet], ...]] = {}

    def opened_by(self, ref: RuleRef) -> tuple[tuple[Address, ConnectionSet], ...]:
        """The known ClusterIPs that the selectors of a rule bring in, each with what is open there."""
        rule, home = ref.rule, ref.policy.namespace
        question = (rule.selectors, rule.ports, home)
        if question not in self._known:
            services = {service: None for peer in rule.selectors for service in self._brought_in(peer, home)}
            self._known[question] = tuple(
                (address, opened)
                for service in services
                if (address := Front(service, 0).address)
                and (opened := _open_on(rule.ports, service, self._snapshot))
            )
        return self._known[question]

    def _brought_in(self, peer: PolicyPeer, home: str) -> Iterator[Service]:
        snapshot = self._snapshot
        names: Iterable[str] = (home,)
        if peer.namespace_selector is not None:
            names = sorted(snapshot.select_namespaces(peer.namespace_selector))
        for name in names:
            for service in snapshot.of_type(Service, name):
                if names_service(peer, home, service, snapshot):
                    yield service


def _open_on(ports: tuple[PolicyPort, ...], service: Service, snapshot: Snapshot) -> ConnectionSet:
    if not ports:
        return ALL_CONNECTIONS
    return ConnectionSet.union(
        ConnectionSet.of(protocol, number, max(number, last) if number and last else None)
        for protocol, number, last in opened_on(ports, service, snapshot)
    )


def opened_on(
    ports: tuple[PolicyPort, ...], service: Service, snapshot: Snapshot
) -> Iterator[tuple[Protocol, int | None, int | None]]:
    """What a rule's ports open on a Service that it brings in: protocol, port and last port of each; None for
    all ports of the protocol."""
    for entry in ports:
        if entry.port is None:
            yield entry.protocol, None, None
        elif (found := _port_behind(entry, ports, service, snapshot)) is not None:
            yield entry.protocol, found, entry.end_port


def _admits(ports: tuple[PolicyPort, ...], front: Front, protocol: Protocol, snapshot: Snapshot) -> bool:
    if not ports:
        return True
    return any(
        number is None or front.port == number or (last is not None and number < front.port <= last)
        for of, number, last in opened_on(ports, front.service, snapshot)
        if of is protocol
    )


def _port_behind(
    entry: PolicyPort, ports: tuple[PolicyPort, ...], service: Service, snapshot: Snapshot
) -> int | None:
    """The Service's port that an entry of a rule's ports means; None for none. Only the first one counts."""
    own = [port for port in service.ports if port.protocol is entry.protocol]
    backing = _backing(service, snapshot)
    found = next((port for port in own if port.target == entry.port), None) or next(
        (port for pod in backing if (port := _by_container(entry, own, pod)) is not None), None
    )
    if found is None or (isinstance(entry.port, int) and _leads_past(found, ports, backing)):
        return None
    return found.port


def _backing(service: Service, snapshot: Snapshot) -> tuple[Workload, ...]:
    return snapshot.select(service.namespace, Selector.of(service.selector or {}))


def _by_container(entry: PolicyPort, own: list[ServicePort], pod: Workload) -> ServicePort | None:
    """The Service's port behind which a pod has the port of an entry."""
    declared = (
        port
        for port in pod.ports
        if port.protocol is entry.protocol and entry.port in (port.number, port.name)
    )
    port = next(declared, None)
    number = port.number if port else entry.port if isinstance(entry.port, int) else None
    return next(
        (
            service_port
            for service_port in own
            if service_port.target == number
            or (port is not None and port.name and service_port.target == port.name)
        ),
        None,
    )


def _leads_past(found: ServicePort, ports: tuple[PolicyPort, ...], backing: tuple[Workload, ...]) -> bool:
    """Whether the name of a targetPort means on some pod a port that the rule does not have: then the address
    is left out."""
    if not isinstance(found.target, str):
        return False
    numbers = (pod.named_port(found.target, found.protocol)[:1] for pod in backing)
    return any(not _has(ports, found.protocol, number) for pod_numbers in numbers for number in pod_numbers)


def _has(ports: tuple[PolicyPort, ...], protocol: Protocol, number: int) -> bool:
    return any(
        entry.port is None
        or (isinstance(entry.port, int) and entry.port <= number <= (entry.end_port or entry.port))
        for entry in ports
        if entry.protocol is protocol
    )
