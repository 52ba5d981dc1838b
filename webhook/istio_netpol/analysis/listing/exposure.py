"""Who can reach each workload, as far as NetworkPolicies go: the world, other namespaces, nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.analysis.arguments.peers import addresses_of
from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.model.connections import NO_CONNECTIONS, ConnectionSet
from istio_netpol.trust.special_addresses import SPECIAL


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


def _namespace(workload: str) -> str:
    return workload.partition("/")[0]
