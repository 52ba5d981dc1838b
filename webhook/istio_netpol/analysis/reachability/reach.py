"""Whom each workload may reach, as sets; pairs are never written out."""

from __future__ import annotations

from collections.abc import Mapping

from istio_netpol.analysis.reachability.facts import ReachabilityFacts
from istio_netpol.analysis.reachability.state import ABSENT, State
from istio_netpol.netpol.masks import Cells, Mask, positions
from istio_netpol.netpol.port_sets import NOTHING


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
