"""Behind `istio-netpol list`: every allowed connection between workloads and address ranges.

Of the list there are the part that somebody asks for, and two sums: by namespaces of the ends, and by who can
reach each workload.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.analysis.ambient.tunnels import Tunnels, carried, has_ambient_mode
from istio_netpol.analysis.arguments.peers import EVERY_PEER, PeerFilter, addresses_of
from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.analysis.unread_policies import UnreadPolicies
from istio_netpol.istio.view.injection import as_injected
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import NO_CONNECTIONS, ConnectionSet
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.policies import Direction
from istio_netpol.model.settings import Settings
from istio_netpol.netpol.connectivity import Allowed
from istio_netpol.netpol.connectivity import connections as pairs
from istio_netpol.state.network import cluster_network
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.special_addresses import SPECIAL


def connections(
    snapshot: Snapshot, settings: Settings, *, with_ipv6: bool = False
) -> Iterator[AllowedConnection]:
    """The connections, sorted by source and destination, one at a time; see `netpol.connectivity`.

    Where ambient mode carries TCP between two workloads, policies see its tunnel alone: all TCP ports are
    open where they allow 15008, and none is where they don't, whatever ports they name.
    """
    return _listed_connections(as_listed(snapshot, settings), settings, with_ipv6=with_ipv6)


def _listed_connections(
    snapshot: Snapshot, settings: Settings, *, with_ipv6: bool = False
) -> Iterator[AllowedConnection]:
    """The connections of a snapshot that `as_listed` returned, sorted."""
    rows, unread = pairs(snapshot, with_ipv6=with_ipv6), _unread_at_ends(snapshot)
    if has_ambient_mode(snapshot):
        rows = _carried(rows, Tunnels(snapshot, settings))
    for source, destination, ports in rows:
        yield AllowedConnection(source, destination, ports, unread(source, destination) if unread else ())


def as_listed(stored: Snapshot, settings: Settings) -> Snapshot:
    """The input with what injection adds to its pods, and the pods that istiod will deploy for its Gateways,
    which the input's policies select."""
    snapshot = as_injected(stored, settings.mesh).judged_by(cluster_network(settings))
    view = MeshView(snapshot, settings)
    to_come = [
        pods
        for gateway in snapshot.every(KubernetesGateway)
        for pods in view.predicted_gateway_workloads(gateway)
        # An object of that name that does not belong to a gateway stays as it is.
        if not any(pods.name == other.name for other in snapshot.workloads(pods.namespace))
    ]
    return snapshot.with_changes(to_come) if to_come else snapshot


def _unread_at_ends(snapshot: Snapshot) -> Callable[[str, str], tuple[str, ...]] | None:
    """The policies that select an end of a row and are not evaluated, by their names; None where there are
    no such policies."""
    policies = UnreadPolicies(snapshot)
    named: dict[Direction, dict[str, tuple[str, ...]]] = {direction: {} for direction in Direction}
    for workload in snapshot.every_workload() if policies.kinds() else ():
        for direction, names in named.items():
            if found := policies.selecting(workload, direction):
                names[workload.peer_name] = tuple(policy.title for policy in found)
    if not any(named.values()):
        return None
    calling, called = named[Direction.EGRESS], named[Direction.INGRESS]
    return lambda source, destination: tuple(
        dict.fromkeys((*calling.get(source, ()), *called.get(destination, ())))
    )


def _carried(rows: Iterable[Allowed], tunnels: Tunnels) -> Iterator[Allowed]:
    """The rows that policies allow, with the ports that get through a tunnel where one carries them."""
    for row in rows:
        client, server = tunnels.kind(row.source), tunnels.kind(row.destination)
        if client is None or server is None or not tunnels.join(client, server):
            yield row
        elif left := carried(row.ports):
            yield row._replace(ports=left)


class AskedList(Struct, frozen=True):
    """The connections of one input (see `as_listed`) by their ends; `focus` is what reports are about."""

    name: str
    snapshot: Snapshot
    settings: Settings
    focus: Focus = WHOLE
    sources: PeerFilter = EVERY_PEER
    destinations: PeerFilter = EVERY_PEER

    def connections(self) -> Iterator[AllowedConnection]:
        """Those that are asked for, one at a time."""
        return (
            connection
            for connection in _listed_connections(self.snapshot, self.settings)
            if self.focus.concerns_connection(connection)
            and self.sources.has(connection.source)
            and self.destinations.has(connection.destination)
        )

    def exposures(self) -> tuple[Exposure, ...]:
        """Who can reach the workloads that are asked for."""
        workloads = {
            workload.peer_name
            for workload in self.snapshot.every_workload()
            if self.focus.concerns_name(workload.peer_name) and self.destinations.has(workload.peer_name)
        }
        found = _listed_connections(self.snapshot, self.settings)
        return exposures((row for row in found if row.destination in workloads), workloads)


OUTSIDE = "addresses outside"
"""In place of a namespace: address ranges. No namespace can be called so."""


class NamespacePair(Struct, frozen=True):
    """What may flow from one namespace to another: between how many workloads, and on which ports in all."""

    source: str
    destination: str
    connections: int
    sources: int
    destinations: int
    ports: ConnectionSet


class _PairTally(Struct):
    connections: int = 0
    sources: set[str] = field(default_factory=set)
    destinations: set[str] = field(default_factory=set)
    ports: set[ConnectionSet] = field(default_factory=set)


def namespace_pairs(connections: Iterable[AllowedConnection]) -> tuple[NamespacePair, ...]:
    """Each pair of namespaces between which something may flow, sorted; addresses outside come first."""
    tallies: dict[tuple[str, str], _PairTally] = {}
    for connection in connections:
        ends = (_namespace(connection.source), _namespace(connection.destination))
        tally = tallies.setdefault(ends, _PairTally())
        tally.connections += 1
        tally.sources.add(connection.source)
        tally.destinations.add(connection.destination)
        tally.ports.add(connection.ports)
    return tuple(
        NamespacePair(
            source,
            destination,
            tally.connections,
            len(tally.sources),
            len(tally.destinations),
            ConnectionSet.union(tally.ports),
        )
        for (source, destination), tally in sorted(tallies.items(), key=_outside_first)
    )


def _outside_first(item: tuple[tuple[str, str], _PairTally]) -> tuple[tuple[bool, str], ...]:
    return tuple((name != OUTSIDE, name) for name in item[0])


def _namespace(peer: str) -> str:
    namespace, slash, _ = peer.partition("/")
    return namespace if slash else OUTSIDE


class Reach(StrEnum):
    """The farthest from which a workload can be reached."""

    WORLD = "world"
    ADDRESSES = "addresses"
    NAMESPACES = "namespaces"
    NAMESPACE = "namespace"
    NOBODY = "nobody"


class Exposure(Struct, frozen=True):
    """One workload, `namespace/Kind/name`, and the ports that are open to it from public addresses, from
    other addresses outside the cluster, from each other namespace and from its own."""

    workload: str
    world: ConnectionSet = NO_CONNECTIONS
    addresses: ConnectionSet = NO_CONNECTIONS
    namespaces: Mapping[str, ConnectionSet] = field(default_factory=dict)
    namespace: ConnectionSet = NO_CONNECTIONS

    @property
    def reach(self) -> Reach:
        if self.world:
            return Reach.WORLD
        if self.addresses:
            return Reach.ADDRESSES
        if self.namespaces:
            return Reach.NAMESPACES
        return Reach.NAMESPACE if self.namespace else Reach.NOBODY


def exposures(connections: Iterable[AllowedConnection], workloads: Iterable[str]) -> tuple[Exposure, ...]:
    """The exposure of each workload, by its name. Workloads of which no connection is listed are reached by
    nobody."""
    world: dict[str, ConnectionSet] = {}
    beyond: dict[str, ConnectionSet] = {}
    inside: defaultdict[str, dict[str, ConnectionSet]] = defaultdict(dict)
    for connection in connections:
        source, _, pods = connection.source.partition("/")
        open_from = inside[connection.destination] if pods else {}
        if pods:
            open_from[source] = open_from.get(source, NO_CONNECTIONS) | connection.ports
        else:
            is_public = bool(addresses_of(connection.source) - SPECIAL)
            found = world if is_public else beyond
            found[connection.destination] = (
                found.get(connection.destination, NO_CONNECTIONS) | connection.ports
            )
    return tuple(
        Exposure(
            name,
            world.get(name, NO_CONNECTIONS),
            beyond.get(name, NO_CONNECTIONS),
            {other: ports for other, ports in sorted(inside[name].items()) if other != _namespace(name)},
            inside[name].get(_namespace(name), NO_CONNECTIONS),
        )
        for name in sorted(workloads)
    )
