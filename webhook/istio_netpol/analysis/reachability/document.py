"""The document of who can reach whom and who has to: its states share one numbering of peers and policies.

It is factored. Allowed from a source to a destination is what the egress profile of the one and the ingress
profile of the other have in common; there are as many profiles as ways of being isolated, not as pairs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct, field

from istio_netpol.analysis.reachability.outside import OutsideKind, OutsidePeer
from istio_netpol.analysis.reachability.state_reading import JudgedFlow
from istio_netpol.analysis.results import Report
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPort
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.netpol.address_line import Stretches
from istio_netpol.netpol.masks import Mask
from istio_netpol.netpol.port_sets import NOTHING, PortSets

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


class DirectionProfiles(Struct, frozen=True):
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

    egress: DirectionProfiles
    ingress: DirectionProfiles
    flows: tuple[MappedFlow, ...]
    policies: tuple[int, ...]
    by_name: Mapping[tuple[int, int], int]
    report: Report

    def side(self, direction: Direction) -> DirectionProfiles:
        return self.egress if direction is Direction.EGRESS else self.ingress

    def present(self) -> Iterator[int]:
        """The workloads that are in this state."""
        return (number for number, profile in enumerate(self.egress.profiles) if profile != ABSENT)


class ResolvedRule(Struct, frozen=True):
    """One rule: `peers` are the workloads and outside peers that it admits, by number; all of them where it
    names none (`anybody`). It means nobody where it names peers and `peers` is empty and no `addresses` are
    named."""

    peers: Mask
    anybody: bool
    addresses: AddressSet
    ports: tuple[PolicyPort, ...]

    @property
    def matches_nobody(self) -> bool:
        """Whether the rule names peers of which none is in the input."""
        return not (self.anybody or self.peers or self.addresses)


class ResolvedPolicy(Struct, frozen=True):
    """A policy, and its rules by direction as far as its types say that they count."""

    policy: NetworkPolicy
    egress: tuple[ResolvedRule, ...] = ()
    ingress: tuple[ResolvedRule, ...] = ()

    def rules(self, direction: Direction) -> tuple[ResolvedRule, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress


class StateName(StrEnum):
    """The states that a document may have: as it is, as if every namespace denied all traffic by default, and
    as it was before a change."""

    NOW = "now"
    DENY_ALL = "deny-all"
    BEFORE = "before"


class ReachabilityFacts(Struct, frozen=True):
    """Who can reach whom and who has to, in each state. Peers are numbers: first the `workloads`, then the
    peers `outside`."""

    namespaces: tuple[Namespace, ...]
    workloads: tuple[Workload, ...]
    outside: tuple[OutsidePeer, ...]
    ports: PortSets
    profiles: tuple[PeerProfile, ...]
    policies: tuple[ResolvedPolicy, ...]
    states: Mapping[StateName, State]

    @property
    def now(self) -> State:
        return self.states[StateName.NOW]

    def allowed(self, state: State, source: int, destination: int) -> ConnectionSet:
        """All that may flow from one peer to another. Nothing is said of a workload's connections to itself,
        nor of those between two peers outside."""
        return self.ports.value(self._ports(state, source, destination))

    def _ports(self, state: State, source: int, destination: int) -> int:
        if source == destination:
            return NOTHING
        sides = []
        if source < len(self.workloads):
            sides.append((state.egress.profiles[source], destination))
        if destination < len(self.workloads):
            sides.append((state.ingress.profiles[destination], source))
        if not sides or any(profile == ABSENT for profile, _ in sides):
            return NOTHING
        if self._is_named_only(source) or self._is_named_only(destination):
            return state.by_name.get((source, destination), NOTHING)
        first, *others = [self.profiles[profile].ports(peer) for profile, peer in sides]
        return self.ports.intersection(first, others[0]) if others else first

    def _is_named_only(self, peer: int) -> bool:
        beyond = peer - len(self.workloads)
        return beyond >= 0 and self.outside[beyond].kind is not OutsideKind.ADDRESSES


Value = TypeVar("Value", bound=Hashable)


class Numbered(Generic[Value]):
    """Gives equal values one number, in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        """The number of a value, a new one if it comes for the first time."""
        return self._numbers.setdefault(value, len(self._numbers))

    def find(self, value: Value) -> int | None:
        """The number of a value that came before."""
        return self._numbers.get(value)

    @property
    def values(self) -> tuple[Value, ...]:
        """All values by number."""
        return tuple(self._numbers)
