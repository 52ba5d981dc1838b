"""A list of connections by the namespaces of its ends."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.model.connections import ConnectionSet

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


class _Tally(Struct):
    connections: int = 0
    sources: set[str] = field(default_factory=set)
    destinations: set[str] = field(default_factory=set)
    ports: set[ConnectionSet] = field(default_factory=set)


def namespace_pairs(connections: Iterable[AllowedConnection]) -> tuple[NamespacePair, ...]:
    """Each pair of namespaces between which something may flow, sorted; addresses outside come first."""
    tallies: dict[tuple[str, str], _Tally] = {}
    for connection in connections:
        ends = (_namespace(connection.source), _namespace(connection.destination))
        tally = tallies.setdefault(ends, _Tally())
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


def _outside_first(item: tuple[tuple[str, str], _Tally]) -> tuple[tuple[bool, str], ...]:
    return tuple((name != OUTSIDE, name) for name in item[0])


def _namespace(peer: str) -> str:
    namespace, slash, _ = peer.partition("/")
    return namespace if slash else OUTSIDE
