"""A canonical algebra of protocol and port sets.

Invariants of a `ConnectionSet`: intervals of one protocol are sorted, disjoint, not adjacent, within 1 to
65535, and protocols without an interval are absent. So two sets are equal exactly when they hold the same
ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.intervals import Interval, Intervals, canonical, complement, overlap

FIRST_PORT, LAST_PORT = 1, 65535
ALL_PORTS: Intervals = ((FIRST_PORT, LAST_PORT),)


def parse_port(text: str) -> int | None:
    """The port number that the text spells in the digits 0 to 9, or None. For all ports that people write as
    text: `int` takes digits of every script, and `str.isdigit` some that `int` does not."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LAST_PORT))):
        return None
    return int(text) if FIRST_PORT <= int(text) <= LAST_PORT else None


class Protocol(StrEnum):
    """The transport protocols that policies know."""

    SCTP = "SCTP"
    TCP = "TCP"
    UDP = "UDP"


class ConnectionSet(Struct, frozen=True):
    """A set of (protocol, port); `ranges` pairs each protocol present with its intervals, sorted by
    protocol."""

    ranges: tuple[tuple[Protocol, Intervals], ...] = ()

    @classmethod
    def of(cls, protocol: Protocol, low: int | None = None, high: int | None = None) -> ConnectionSet:
        """Ports `low` to `high` of one protocol; one port where `high` is absent, all where `low` is
        absent too."""
        if low is None:
            return cls(((protocol, ALL_PORTS),))
        return cls(((protocol, ((low, low if high is None else high),)),))

    @classmethod
    def union(cls, sets: Iterable[ConnectionSet]) -> ConnectionSet:
        """The ports in any of the sets; merged once, since a policy may list tens of thousands."""
        found: dict[Protocol, list[Interval]] = {protocol: [] for protocol in Protocol}
        for connection_set in sets:
            for protocol, intervals in connection_set.ranges:
                found[protocol] += intervals
        return _build((protocol, canonical(intervals)) for protocol, intervals in found.items())

    def intervals(self, protocol: Protocol) -> Intervals:
        return next((intervals for known, intervals in self.ranges if known is protocol), ())

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __or__(self, other: ConnectionSet) -> ConnectionSet:
        if self == other or not other.ranges:
            return self
        if not self.ranges:
            return other
        return _build((p, canonical(self.intervals(p) + other.intervals(p))) for p in Protocol)

    def __and__(self, other: ConnectionSet) -> ConnectionSet:
        if self == other or other is ALL_CONNECTIONS:
            return self
        if self is ALL_CONNECTIONS:
            return other
        return _build((p, overlap(self.intervals(p), other.intervals(p))) for p in Protocol)

    def __sub__(self, other: ConnectionSet) -> ConnectionSet:
        return _build(
            (p, overlap(self.intervals(p), complement(other.intervals(p), FIRST_PORT, LAST_PORT)))
            for p in Protocol
        )

    def __le__(self, other: ConnectionSet) -> bool:
        return not (self - other)

    def contains(self, protocol: Protocol, port: int) -> bool:
        return any(low <= port <= high for low, high in self.intervals(protocol))

    def __str__(self) -> str:
        if self == ALL_CONNECTIONS:
            return "all"
        return ", ".join(
            f"{protocol} {low}" if low == high else f"{protocol} {low}-{high}"
            for protocol, intervals in self.ranges
            for low, high in intervals
        )


def _build(parts: Iterable[tuple[Protocol, Intervals]]) -> ConnectionSet:
    return ConnectionSet(tuple((protocol, intervals) for protocol, intervals in parts if intervals))


NO_CONNECTIONS = ConnectionSet()
ALL_CONNECTIONS = ConnectionSet(tuple((protocol, ALL_PORTS) for protocol in Protocol))
