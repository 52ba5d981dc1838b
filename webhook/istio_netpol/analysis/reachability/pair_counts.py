"""The facts by pairs of namespaces: what a picture shows that has no room for workloads."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from istio_netpol.analysis.reachability.facts import ReachabilityFacts
from istio_netpol.analysis.reachability.reach import ReachablePairs
from istio_netpol.analysis.reachability.required import FlowOutcome
from istio_netpol.analysis.reachability.state import ABSENT, MappedFlow, State
from istio_netpol.netpol.masks import Mask
from istio_netpol.netpol.port_sets import EVERY_PORT

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
