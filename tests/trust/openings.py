"""What came to be allowed in a whole cluster, by the engine's own `list`, side by side.

A connection needs the egress of its source and the ingress of its destination. Each side is listed with the
other one open everywhere, so that half of a connection shows too: the other half may be anybody's to open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from istio_netpol.istio.view.injection import as_injected
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import NO_CONNECTIONS, ConnectionSet, Protocol
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.netpol.connectivity import connections
from istio_netpol.state.snapshot import Snapshot

HOSTILE = "team-a"
"""The namespace of the tenant who attacks."""

ANY_IPV4 = "0.0.0.0-255.255.255.255"

Ends = tuple[str, str]
Ranges = list[tuple[AddressSet, ConnectionSet]]


class Opening(NamedTuple):
    """One side that lets something pass which it did not before. An end is `namespace/name` of a workload or
    a range of addresses."""

    side: Direction
    source: str
    destination: str
    ports: ConnectionSet

    @property
    def subject(self) -> str:
        """The end whose policies open."""
        return self.source if self.side is Direction.EGRESS else self.destination

    @property
    def counterpart(self) -> str:
        """The end to which they open."""
        return self.destination if self.side is Direction.EGRESS else self.source


class Allowed(NamedTuple):
    """A line `source -> destination: TCP 80, UDP 53`: ends are patterns of workloads, CIDRs, or `any`."""

    source: str
    destination: str
    ports: ConnectionSet

    @classmethod
    def of(cls, line: str) -> Allowed:
        """The line of a case; a protocol without a port means all of them."""
        ends, _, ports = line.rpartition(": ")
        source, arrow, destination = ends.partition(" -> ")
        assert arrow, f"not `source -> destination: ports`: {line}"
        return cls(source, destination, ConnectionSet.union(map(_port, ports.split(", "))))

    def covers(self, opening: Opening) -> bool:
        """Whether the ends are meant."""
        return _is(opening.source, self.source) and _is(opening.destination, self.destination)


def _port(text: str) -> ConnectionSet:
    protocol, _, number = text.partition(" ")
    return (
        ConnectionSet.of(Protocol(protocol), int(number)) if number else ConnectionSet.of(Protocol(protocol))
    )


def _is(end: str, meant: str) -> bool:
    if meant == "any":
        return True
    if "/" in end:
        return fnmatchcase(end, meant)
    if not any(mark in meant for mark in ".:"):
        return False
    low, _, high = end.partition("-")
    network = ip_network(meant)
    return all(ip_address(address) in network for address in (low, high or low))


def opened(before: Snapshot, after: Snapshot, settings: Settings) -> list[Opening]:
    """Every side that opens between two states of a cluster, in order."""
    return [
        Opening(side, *ends, ports)
        for side in Direction
        for ends, ports in _gained(_listed(before, side, settings), _listed(after, side, settings))
    ]


def excess(openings: Iterable[Opening], allowed: Iterable[Allowed]) -> list[str]:
    """What opened beyond what is allowed, a line for each subject, as a person would put it.

    The hostile tenant's own pods may admit anybody, and call other pods: a policy of its own would do the
    same. Where they may call outside of the cluster is the administrator's to say.
    """
    lines = list(allowed)
    found: dict[tuple[Direction, str, str], list[str]] = {}
    for opening in openings:
        if _is_the_tenants_own(opening):
            continue
        rest = opening.ports
        for line in lines:
            rest = rest - line.ports if line.covers(opening) else rest
        if rest:
            key = (opening.side, opening.subject, str(rest))
            found.setdefault(key, []).append(opening.counterpart)
    return [_told(*key, counterparts) for key, counterparts in found.items()]


def missing(openings: Iterable[Opening], needs: Iterable[Allowed]) -> list[str]:
    """What did not open though it has to, by side; an end outside of the cluster has none."""
    found = list(openings)
    return [
        f"{need.source} -> {need.destination}: {need.ports} ({side})"
        for need in needs
        for side in Direction
        if "/" in (need.source if side is Direction.EGRESS else need.destination).replace("/32", "")
        and not any(
            opening.side is side and need.covers(opening) and need.ports <= opening.ports for opening in found
        )
    ]


def _is_the_tenants_own(opening: Opening) -> bool:
    is_own = opening.subject.startswith(f"{HOSTILE}/")
    return is_own and (opening.side is Direction.INGRESS or "/" in opening.counterpart)


def _told(side: Direction, subject: str, ports: str, counterparts: list[str]) -> str:
    """`who -> whom: ports`, and whose side it is."""
    others = "anywhere" if ANY_IPV4 in counterparts else ", ".join(counterparts)
    if side is Direction.EGRESS:
        return f"{subject} -> {others}: {ports} (egress of {subject})"
    return f"{others} -> {subject}: {ports} (ingress of {subject})"


def _listed(snapshot: Snapshot, side: Direction, settings: Settings) -> list[tuple[Ends, ConnectionSet]]:
    """The connections that one side allows on the wire, whatever the other one does."""
    other = Direction.INGRESS if side is Direction.EGRESS else Direction.EGRESS
    whole = snapshot.with_changes(put=[_open(name, other) for name in snapshot.namespace_names])
    return [
        ((_short(connection.source), _short(connection.destination)), connection.ports)
        for connection in connections(as_injected(whole, settings.mesh), with_ipv6=True)
    ]


def _open(namespace: str, direction: Direction) -> NetworkPolicy:
    ref = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", namespace, "test-opens-the-other-side")
    return NetworkPolicy(
        ref, EVERYTHING, frozenset({direction}), ingress=(PolicyRule(),), egress=(PolicyRule(),)
    )


def _short(peer: str) -> str:
    """`namespace/name` of `namespace/Kind/name`."""
    namespace, slash, rest = peer.partition("/")
    return f"{namespace}/{rest.partition('/')[2]}" if slash else peer


def _gained(
    before: list[tuple[Ends, ConnectionSet]], after: list[tuple[Ends, ConnectionSet]]
) -> Iterator[tuple[Ends, ConnectionSet]]:
    """The rows of `after` without what `before` has; ranges of addresses are cut where that begins or
    ends."""
    known: dict[Ends, ConnectionSet] = {}
    ranges: dict[Ends, Ranges] = {}
    for (source, destination), ports in before:
        if _is_range(source) or _is_range(destination):
            key = _without_range(source, destination)
            ranges.setdefault(key, []).append((_addresses(source, destination), ports))
        else:
            known[source, destination] = known.get((source, destination), NO_CONNECTIONS) | ports
    for (source, destination), ports in after:
        if not _is_range(source) and not _is_range(destination):
            if rest := ports - known.get((source, destination), NO_CONNECTIONS):
                yield (source, destination), rest
            continue
        key = _without_range(source, destination)
        for addresses, rest in _cut(_addresses(source, destination), ports, ranges.get(key, [])):
            for text in _texts(addresses):
                yield (
                    (text if _is_range(source) else source, text if _is_range(destination) else destination),
                    rest,
                )


def _cut(addresses: AddressSet, ports: ConnectionSet, known: Ranges) -> Ranges:
    left: Ranges = [(addresses, ports)]
    for others, theirs in known:
        parts: Ranges = []
        for mine, rest in left:
            parts += [(mine - others, rest), (mine & others, rest - theirs)]
        left = [part for part in parts if part[0] and part[1]]
    return left


def _is_range(end: str) -> bool:
    return "/" not in end


def _without_range(source: str, destination: str) -> Ends:
    return ("" if _is_range(source) else source, "" if _is_range(destination) else destination)


def _addresses(source: str, destination: str) -> AddressSet:
    low, high = (ip_address(address) for address in (source if _is_range(source) else destination).split("-"))
    return AddressSet.from_range(low.version, int(low), int(high))


def _texts(addresses: AddressSet) -> Iterator[str]:
    for low, high in addresses.ranges():
        yield str(low) if low == high else f"{low}-{high}"
