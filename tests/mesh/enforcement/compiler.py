"""From policies to the packets that pass, by asking the naive evaluator about one packet of each kind.

Between two ports that the policies of a pod name nothing changes, nor between two addresses where an ipBlock
begins or ends: one packet of each stretch is asked about. Pods are asked about one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from typing import TypeVar

from tests.mesh.enforcement.cluster import Cluster
from tests.netpol.naive import NaiveCluster

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer
from istio_netpol.model.labels import Labels
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.workloads import Workload

LAST_ADDRESS, LAST_PORT = 2**32 - 1, 2**16 - 1

Value = TypeVar("Value")
Range = tuple[int, int]
Ports = tuple[tuple[Protocol, Range], ...]
"""Port ranges of protocols: disjoint, and as long as can be."""

ALL: Ports = tuple((protocol, (1, LAST_PORT)) for protocol in Protocol)


@dataclass(frozen=True, slots=True)
class Row:
    """What one isolated pod may exchange with the peers in an address range."""

    pod: IPv4Address
    peers: Range
    ports: Ports


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a firewall needs: the pods, which are isolated in a direction, and what they may do there.
    Whoever is isolated and has no row may do nothing."""

    pods: tuple[IPv4Address, ...]
    isolated: Mapping[Direction, tuple[IPv4Address, ...]]
    rows: Mapping[Direction, tuple[Row, ...]]


@dataclass(frozen=True, slots=True)
class _Isolated:
    """A pod in one direction, and the policies that isolate it."""

    address: IPv4Address
    pod: Workload
    direction: Direction
    policies: tuple[NetworkPolicy, ...]

    @property
    def blocks(self) -> Iterator[str]:
        for policy in self.policies:
            for rule in policy.rules(self.direction):
                for block in rule.blocks:
                    yield from (block.cidr, *block.exceptions)


class Compiler:
    """Compiles one cluster after the other, and asks anew only what has changed in between."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Ports] = {}
        self._used: dict[tuple[object, ...], Ports] = {}

    def compile(self, cluster: Cluster) -> Rules:
        isolated = {direction: list(_isolated(cluster, direction)) for direction in Direction}
        labels = {namespace.name: namespace.labels for namespace in cluster.namespaces}
        rules = Rules(
            tuple(sorted(cluster.pods)),
            {direction: tuple(pod.address for pod in pods) for direction, pods in isolated.items()},
            {
                direction: tuple(row for pod in pods for row in self._rows(cluster, labels, pod))
                for direction, pods in isolated.items()
            },
        )
        self._known, self._used = self._used, {}
        return rules

    def _rows(self, cluster: Cluster, labels: Mapping[str, Labels], isolated: _Isolated) -> Iterator[Row]:
        naive = NaiveCluster([*cluster.namespaces, *isolated.policies])
        addresses = sorted(map(int, cluster.pods))
        stretches: list[tuple[Range, Ports]] = []
        for low, high in _stretches(isolated.blocks):
            outside = AddressPeer(AddressSet.from_range(4, low, low))
            ports = self._ports(naive, isolated, outside, (low,))
            stretches += _without(low, high, addresses, ports)
        for address, pod in cluster.pods.items():
            value = int(address)
            if address == isolated.address:  # "A Pod cannot block access to itself"
                stretches.append(((value, value), ALL))
                continue
            seen = (pod, address, tuple(sorted(labels.get(pod.namespace, {}).items())))
            stretches.append(((value, value), self._ports(naive, isolated, PodsPeer(pod), seen)))
        for peers, ports in _joined(sorted(stretches)):
            if ports:
                yield Row(isolated.address, peers, ports)

    def _ports(self, naive: NaiveCluster, isolated: _Isolated, peer: Peer, seen: tuple[object, ...]) -> Ports:
        key = (isolated.direction, isolated.pod, isolated.policies, *seen)
        ports = self._known.get(key)
        if ports is None:
            ports = _evaluated(naive, isolated, peer)
        self._used[key] = ports
        return ports


def _isolated(cluster: Cluster, direction: Direction) -> Iterator[_Isolated]:
    of_namespace: dict[str, list[NetworkPolicy]] = {}
    for policy in cluster.policies:
        of_namespace.setdefault(policy.namespace, []).append(policy)
    evaluators = {name: NaiveCluster(policies) for name, policies in of_namespace.items()}
    for address, pod in sorted(cluster.pods.items()):
        if pod.namespace not in evaluators:
            continue
        names = set(evaluators[pod.namespace].isolating(PodsPeer(pod), direction))
        if names:
            policies = tuple(policy for policy in of_namespace[pod.namespace] if policy.key in names)
            yield _Isolated(address, pod, direction, policies)


def _evaluated(naive: NaiveCluster, isolated: _Isolated, peer: Peer) -> Ports:
    subject = PodsPeer(isolated.pod)
    called: Peer = subject if isolated.direction is Direction.INGRESS else peer
    found: list[tuple[Protocol, Range]] = []
    for protocol in Protocol:
        allowed = [
            (stretch, naive.allows(subject, isolated.direction, peer, called, (protocol, stretch[0])))
            for stretch in _port_stretches(isolated, called, protocol)
        ]
        found += [(protocol, ports) for ports, passes in _joined(allowed) if passes]
    return tuple(found)


def _port_stretches(isolated: _Isolated, called: Peer, protocol: Protocol) -> list[Range]:
    """The ports in stretches in which a pod's policies, and the ports that the called pod declares for them,
    make no difference."""
    named = {
        (entry.port, entry.end_port or entry.port)
        for policy in isolated.policies
        for rule in policy.rules(isolated.direction)
        for entry in rule.ports
        if entry.protocol is protocol and isinstance(entry.port, int)
    }
    if isinstance(called, PodsPeer):
        named |= {(port.number, port.number) for port in called.workload.ports if port.protocol is protocol}
    return _cut(1, LAST_PORT, named)


def _stretches(cidrs: Iterable[str]) -> list[Range]:
    """All IPv4 addresses, in stretches of which no CIDR holds only a part."""
    networks = (ip_network(cidr, strict=False) for cidr in cidrs)
    ends = {
        (int(network.network_address), int(network.broadcast_address))
        for network in networks
        if network.version == 4
    }
    return _cut(0, LAST_ADDRESS, ends)


def _cut(first: int, last: int, ranges: Iterable[Range]) -> list[Range]:
    """From first to last, cut where one of the ranges begins or ends."""
    starts = sorted({first} | {low for low, _ in ranges} | {high + 1 for _, high in ranges if high < last})
    return [(low, high - 1) for low, high in zip(starts, [*starts[1:], last + 1], strict=True)]


def _without(low: int, high: int, holes: Iterable[int], ports: Ports) -> Iterator[tuple[Range, Ports]]:
    """A range without some addresses, which come in their order."""
    for hole in holes:
        if low <= hole <= high:
            if low < hole:
                yield (low, hole - 1), ports
            low = hole + 1
    if low <= high:
        yield (low, high), ports


def _joined(ranges: Sequence[tuple[Range, Value]]) -> list[tuple[Range, Value]]:
    """Sorted ranges, of which neighbours with the same value become one."""
    joined: list[tuple[Range, Value]] = []
    for (low, high), value in ranges:
        if joined and joined[-1][1] == value and joined[-1][0][1] + 1 == low:
            joined[-1] = ((joined[-1][0][0], high), value)
        else:
            joined.append(((low, high), value))
    return joined
