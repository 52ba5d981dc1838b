"""The facts by pairs of namespaces: what a picture shows that has no room for workloads.

Pairs of workloads are never written out: they are counted as sets.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from istio_netpol.analysis.reachability.document import ABSENT, MappedFlow, ReachabilityFacts, State
from istio_netpol.analysis.reachability.state_reading import FlowOutcome
from istio_netpol.netpol.masks import Cells, Mask, positions
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING

OUTSIDE = ""
"""In place of a namespace's name: peers outside the cluster."""


class PairCounts(Struct):
    """From one namespace to another: pairs of peers that are `allowed`, some of them on every port (`wide`);
    required flows that are allowed (`needed`), denied (`cut`, of those by which side), and not judged."""

    allowed: int = 0
    wide: int = 0
    needed: int = 0
    cut: int = 0
    cut_by_egress: int = 0
    cut_by_ingress: int = 0
    unknown: int = 0

    def take(self, mapped: MappedFlow) -> None:
        """Counts one required flow."""
        judged = mapped.judged
        match judged.outcome:
            case FlowOutcome.ALLOWED:
                self.needed += 1
            case FlowOutcome.UNKNOWN:
                self.unknown += 1
            case FlowOutcome.DENIED:
                self.cut += 1
                self.cut_by_egress += not judged.verdict.egress.allowed
                self.cut_by_ingress += not judged.verdict.ingress.allowed


Pairs = Mapping[tuple[str, str], PairCounts]


def namespace_pairs(facts: ReachabilityFacts, state: State) -> Pairs:
    """The counts of each pair of namespaces between which there is anything."""
    counter = _Counter(facts)
    counter.count_inside(state)
    counter.count_outside(state)
    for mapped in state.flows:
        counter.at(counter.home(mapped.source), counter.home(mapped.destination)).take(mapped)
    return counter.found


class _Counter:
    def __init__(self, facts: ReachabilityFacts) -> None:
        self._facts = facts
        self._homes: dict[str, Mask] = {}
        for number, workload in enumerate(facts.workloads):
            self._homes[workload.namespace] = self._homes.get(workload.namespace, 0) | 1 << number
        self.found: dict[tuple[str, str], PairCounts] = {}

    def at(self, source: str, destination: str) -> PairCounts:
        """The counts of a pair, made where there are none yet."""
        return self.found.setdefault((source, destination), PairCounts())

    def home(self, peer: int) -> str:
        """The namespace of a peer."""
        return self._facts.workloads[peer].namespace if peer < len(self._facts.workloads) else OUTSIDE

    def count_inside(self, state: State) -> None:
        reach = ReachablePairs(self._facts, state)
        for source, workload in enumerate(self._facts.workloads):
            for ports, reached in reach.of(source).items():
                for namespace, members in self._homes.items():
                    if count := (reached & members).bit_count():
                        pair = self.at(workload.namespace, namespace)
                        pair.allowed += count
                        pair.wide += count if ports == EVERY_PORT else 0

    def count_outside(self, state: State) -> None:
        """Peers with addresses by the profiles, the others by the flows that are about them."""
        inside = len(self._facts.workloads)
        for number, workload in enumerate(self._facts.workloads):
            ways = (
                (state.egress, (workload.namespace, OUTSIDE)),
                (state.ingress, (OUTSIDE, workload.namespace)),
            )
            for side, ends in ways:
                if side.profiles[number] == ABSENT:
                    continue
                for ports, members in self._facts.profiles[side.profiles[number]].cells:
                    if count := (members >> inside).bit_count():
                        pair = self.at(*ends)
                        pair.allowed += count
                        pair.wide += count if ports == EVERY_PORT else 0
        for source, destination in state.by_name:
            self.at(self.home(source), self.home(destination)).allowed += 1


class ReachablePairs:
    """The workloads that each workload of a state may reach, by the ports that both sides let through."""

    def __init__(self, facts: ReachabilityFacts, state: State) -> None:
        self._facts, self._state = facts, state
        self._inside: Mask = (1 << len(facts.workloads)) - 1
        self._admitting: list[tuple[Mask, int]] = []
        self._admitted: list[list[int]] = [[] for _ in facts.workloads]
        self._turn_round()
        self._known: dict[tuple[int, tuple[int, ...]], Cells] = {}

    def _turn_round(self) -> None:
        """From "these may call this one" to "this one may call these", equal callers in one mask."""
        members: dict[int, Mask] = {}
        for workload, profile in enumerate(self._state.ingress.profiles):
            if profile != ABSENT:
                members[profile] = members.get(profile, 0) | 1 << workload
        alike: dict[tuple[Mask, int], Mask] = {}
        for profile, called in members.items():
            for ports, callers in self._facts.profiles[profile].cells:
                key = (callers & self._inside, ports)
                alike[key] = alike.get(key, 0) | called
        for number, ((callers, ports), called) in enumerate(alike.items()):
            self._admitting.append((called, ports))
            for caller in positions(callers):
                self._admitted[caller].append(number)

    def of(self, source: int) -> Mapping[int, Mask]:
        """The workloads that one may reach, itself apart, by the number of the ports."""
        profile = self._state.egress.profiles[source]
        if profile == ABSENT:
            return {}
        cells = self._both_sides(profile, tuple(self._admitted[source]))
        own = 1 << source
        return {ports: mask & ~own for ports, mask in cells.items() if mask & ~own}

    def _both_sides(self, profile: int, admitted: tuple[int, ...]) -> Cells:
        known = self._known.get((profile, admitted))
        if known is None:
            known = self._known[profile, admitted] = {}
            for number in admitted:
                called, ingress = self._admitting[number]
                for egress, reached in self._facts.profiles[profile].cells:
                    if common := called & reached:
                        ports = self._facts.ports.intersection(egress, ingress)
                        known[ports] = known.get(ports, 0) | common
            known.pop(NOTHING, None)
        return known
