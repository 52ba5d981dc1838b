"""Makes the document of a cluster: reads its states, and numbers what any of them has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.analysis.reachability.document import (
    MappedFlow,
    Numbered,
    PeerProfile,
    ReachabilityFacts,
    ResolvedPolicy,
    State,
    StateName,
)
from istio_netpol.analysis.reachability.numbered_state import NumberedState
from istio_netpol.analysis.reachability.outside import (
    INTERNET,
    OutsideKind,
    OutsidePeer,
    named_blocks,
    outside_peer,
)
from istio_netpol.analysis.reachability.state_reading import FlowOutcome, Given, Passages, StateReading
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.netpol.port_sets import PortSets


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


class Numbering:
    """Numbers what any of the states has, and says of each state in these numbers what holds."""

    def __init__(self, readings: Sequence[StateReading]) -> None:
        found: dict[str, Workload] = {}
        for reading in readings:
            found = {workload.peer_name: workload for workload in reading.cluster.workloads} | found
        self.workloads = tuple(found[name] for name in sorted(found))
        self._numbers = {workload.peer_name: number for number, workload in enumerate(self.workloads)}
        self.outside = tuple(_outside(readings))
        self._outside = {peer: len(self.workloads) + place for place, peer in enumerate(self.outside)}
        self.namespaces = tuple(_namespaces(readings))
        self.ports = PortSets()
        self.profiles: Numbered[PeerProfile] = Numbered()
        self.policies: Numbered[ResolvedPolicy] = Numbered()

    def state(self, reading: StateReading) -> State:
        """What holds in a state."""
        placed = NumberedState(reading, self._numbers, self.outside, self.ports)
        policies = {policy: self.policies.number(placed.resolved(policy)) for policy in placed.policies()}
        egress, ingress = (
            placed.side(direction, self.profiles, policies)
            for direction in (Direction.EGRESS, Direction.INGRESS)
        )
        flows = tuple(
            MappedFlow(
                judged,
                self._number(judged.flow.source, judged.flow.kind, reading),
                self._number(judged.flow.destination, judged.flow.kind, reading),
            )
            for judged in reading.flows
        )
        numbers = tuple(policies.values())
        return State(egress, ingress, flows, numbers, self._by_name(flows), reading.report)

    def _number(self, peer: Peer, kind: FlowKind, reading: StateReading) -> int:
        if isinstance(peer, PodsPeer) and not reading.lacks(peer):
            return self._numbers[peer.workload.peer_name]
        found = outside_peer(peer, kind)
        return self._outside[found]

    def _by_name(self, flows: Iterable[MappedFlow]) -> dict[tuple[int, int], int]:
        """The ports of allowed flows to or from peers whose addresses are not known."""
        found: dict[tuple[int, int], int] = {}
        for mapped in flows:
            ends = (mapped.source, mapped.destination)
            if mapped.judged.outcome is FlowOutcome.ALLOWED and any(map(self._has_no_address, ends)):
                flow = mapped.judged.flow
                ports = self.ports.number(ConnectionSet.of(flow.protocol, flow.port))
                found[ends] = self.ports.union(found.get(ends, 0), ports)
        return found

    def _has_no_address(self, peer: int) -> bool:
        beyond = peer - len(self.workloads)
        return beyond >= 0 and self.outside[beyond].kind is not OutsideKind.ADDRESSES


def _outside(readings: Sequence[StateReading]) -> Iterator[OutsidePeer]:
    """The internet, then addresses, then those known by a name or a description only."""
    asked = {
        outside_peer(peer, judged.flow.kind): None
        for reading in readings
        for judged in reading.flows
        for peer in (judged.flow.source, judged.flow.destination)
        if reading.lacks(peer)
    }
    asked.pop(INTERNET, None)
    yield INTERNET
    located = {peer.addresses for peer in asked}
    yield from (
        block
        for block in named_blocks(reading.snapshot for reading in readings)
        if block.addresses not in located and block not in asked
    )
    yield from sorted(asked, key=lambda peer: (list(OutsideKind).index(peer.kind), peer.name))


def _namespaces(readings: Sequence[StateReading]) -> Iterator[Namespace]:
    names = sorted({name for reading in readings for name in reading.snapshot.namespace_names})
    for name in names:
        home = next((reading for reading in readings if reading.snapshot.has(name)), readings[0])
        yield home.snapshot.namespace(name)
