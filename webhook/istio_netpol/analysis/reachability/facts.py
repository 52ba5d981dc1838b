"""The document: the states of a cluster over one numbering of workloads, peers, ports and policies.

It is factored. Allowed from a source to a destination is what the egress profile of the one and the ingress
profile of the other have in common; there are as many profiles as ways of being isolated, not as pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from istio_netpol.analysis.reachability.numbering import Numbering
from istio_netpol.analysis.reachability.outside import OutsideKind, OutsidePeer
from istio_netpol.analysis.reachability.passages import Passages
from istio_netpol.analysis.reachability.policies import ResolvedPolicy
from istio_netpol.analysis.reachability.reading import Given, StateReading
from istio_netpol.analysis.reachability.state import ABSENT, PeerProfile, State
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.netpol.port_sets import NOTHING, PortSets


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


def facts(
    given: Given,
    settings: Settings,
    resolver: Resolver,
    *,
    before: Given | None = None,
    deny_all: bool = True,
) -> ReachabilityFacts:
    """The document of a cluster: as it is, with `deny_all` as if every namespace denied all by default, and
    as it was `before`, where that is given."""
    passages = Passages()
    readings = {StateName.NOW: StateReading(given, settings, resolver, passages, deny_all=False)}
    if deny_all:
        readings[StateName.DENY_ALL] = StateReading(given, settings, resolver, passages, deny_all=True)
    if before is not None:
        readings[StateName.BEFORE] = StateReading(before, settings, resolver, Passages(), deny_all=False)
    numbering = Numbering(tuple(readings.values()))
    states = {name: numbering.state(reading) for name, reading in readings.items()}
    return ReachabilityFacts(
        numbering.namespaces,
        numbering.workloads,
        numbering.outside,
        numbering.ports,
        numbering.profiles.values,
        numbering.policies.values,
        states,
    )
