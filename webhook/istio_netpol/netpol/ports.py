"""The `ports` of a rule: which protocol and port numbers they open towards one destination."""

from __future__ import annotations

from istio_netpol.model.connections import ALL_CONNECTIONS, ConnectionSet, Protocol
from istio_netpol.model.policies import PolicyPort
from istio_netpol.model.workloads import Workload


def admits_port(
    ports: tuple[PolicyPort, ...], destination: Workload | None, protocol: Protocol, port: int
) -> bool:
    """Whether a rule's ports include this one; `destination` is the pod called, None if it is an address."""
    if not ports:
        # "If this field is empty or missing, this rule matches all ports."
        return True
    for policy_port in ports:
        if policy_port.protocol is protocol and _includes(policy_port, destination, protocol, port):
            return True
    return False


def _includes(entry: PolicyPort, destination: Workload | None, protocol: Protocol, port: int) -> bool:
    if entry.port is None:
        # "If this field is not provided, this matches all port names and numbers."
        return True
    if isinstance(entry.port, str):
        # "This can either be a numerical or named port on a pod": an address has no names, and another pod
        # may give the same name another number.
        return destination is not None and port in destination.named_port(entry.port, protocol)
    # endPort: "the range of ports from port to endPort if set, inclusive".
    return entry.port <= port <= (entry.end_port or entry.port)


def opened(ports: tuple[PolicyPort, ...], destination: Workload | None) -> ConnectionSet:
    """All that a rule's ports open towards a destination; `admits_port` for every port at once."""
    if not ports:
        return ALL_CONNECTIONS
    return ConnectionSet.union(part for policy_port in ports for part in _parts(policy_port, destination))


def names(ports: tuple[PolicyPort, ...]) -> list[tuple[str, Protocol]]:
    """The port names among a rule's ports: what they open depends on the destination."""
    return [
        (policy_port.port, policy_port.protocol) for policy_port in ports if isinstance(policy_port.port, str)
    ]


def _parts(entry: PolicyPort, destination: Workload | None) -> tuple[ConnectionSet, ...]:
    if not isinstance(entry.port, str):
        return (ConnectionSet.of(entry.protocol, entry.port, entry.end_port),)
    numbers = destination.named_port(entry.port, entry.protocol) if destination else ()
    return tuple(ConnectionSet.of(entry.protocol, number) for number in numbers)
