"""One state of a cluster in the numbers that all states of a document share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from istio_netpol.analysis.reachability.required import JudgedFlow
from istio_netpol.analysis.results import Report
from istio_netpol.model.policies import Direction
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.netpol.address_line import Stretches
from istio_netpol.netpol.masks import Mask

ABSENT = -1
"""In place of a profile's number: the workload is not in this state."""


class PeerProfile(Struct, frozen=True):
    """One direction of alike workloads. `cells` pairs the number of a port set with the peers, workloads and
    outside ones, at which those ports are open; who is in none has no port. `line` tells the same of every
    address."""

    cells: tuple[tuple[int, Mask], ...]
    line: Stretches

    def ports(self, peer: int) -> int:
        """The number of the ports that are open at a peer."""
        return next((ports for ports, members in self.cells if members >> peer & 1), 0)


class Side(Struct, frozen=True):
    """One direction of all workloads: the number of each one's profile, the numbers of the policies that
    isolate it, and where there are any the policies of tiers that have rules for it, and the titles of those
    that select it and are not evaluated."""

    profiles: tuple[int, ...]
    isolated_by: tuple[tuple[int, ...], ...]
    tiers: Mapping[int, tuple[TierPolicy, ...]] = field(default_factory=dict)
    not_read: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class MappedFlow(Struct, frozen=True):
    """A required flow with the numbers of its ends."""

    judged: JudgedFlow
    source: int
    destination: int


class State(Struct, frozen=True):
    """What holds in one state. `policies` are the numbers of those that are there. `by_name` has the ports of
    pairs of which one end is known by a name only, as far as required flows tell. `report` is that of
    `check`."""

    egress: Side
    ingress: Side
    flows: tuple[MappedFlow, ...]
    policies: tuple[int, ...]
    by_name: Mapping[tuple[int, int], int]
    report: Report

    def side(self, direction: Direction) -> Side:
        return self.egress if direction is Direction.EGRESS else self.ingress

    def present(self) -> Iterator[int]:
        """The workloads that are in this state."""
        return (number for number, profile in enumerate(self.egress.profiles) if profile != ABSENT)
