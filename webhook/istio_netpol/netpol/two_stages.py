"""Joins two stages of the evaluation: what they leave open, one after the other, between a workload and all
peers."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from istio_netpol.netpol.address_line import Stretches, bounds
from istio_netpol.netpol.cluster_masks import ClusterMasks
from istio_netpol.netpol.ip_blocks import POSSIBLE_ADDRESSES
from istio_netpol.netpol.masks import Cells, Mask, overlay
from istio_netpol.netpol.port_sets import NOTHING, PortSets
from istio_netpol.netpol.stages import Covering, Stage, coverings

_POSSIBLE = tuple(tuple(bounds(family)) for family in POSSIBLE_ADDRESSES)


class _Residents(Struct):
    """Who is at a place where the same rules name the address: the workloads with known addresses, and
    whether pods with unknown ones may be there, by IPv4 and by IPv6."""

    known: Mask = 0
    may_be_ipv4: bool = False
    may_be_ipv6: bool = False


class TwoStages:
    """The stage that is asked first, and the one that is asked for what the first leaves. `is_open_behind`
    says whether what the second does not decide is open, or closed."""

    def __init__(
        self, first: Stage, then: Stage, is_open_behind: bool, cluster: ClusterMasks, sets: PortSets
    ) -> None:
        self._first = first
        self._then = then
        self._is_open_behind = is_open_behind
        self._cluster = cluster
        self._sets = sets
        self._everyone = cluster.everyone | cluster.outside
        self._rulings = [*first.rulings, *then.rulings]
        # Parts of the ports that no rule of either divides, with their indexes in both stages.
        self._parts = [
            (ports, index, other)
            for index, part in enumerate(first.parts)
            for other, part_then in enumerate(then.parts)
            if (ports := sets.intersection(part, part_then)) != NOTHING
        ]

    def cells(self) -> Cells:
        """The workloads by the ports that are open wherever they are."""
        hosts = self._cluster.everyone & ~self._cluster.pods
        cells = self._open_to(self._cluster.pods, coverings([ruling.networks for ruling in self._rulings]))
        if hosts:
            line = coverings([ruling.addresses for ruling in self._rulings])
            for ports, mask in self._open_to(hosts, line).items():
                cells[ports] = cells.get(ports, 0) | mask
        return cells

    def line(self) -> Stretches:
        """The ports that are open at addresses outside: maximal stretches, none where no port is open."""
        found: list[tuple[int, int, int]] = []
        for low, high, rules in coverings([ruling.addresses for ruling in self._rulings]):
            ports = NOTHING
            for part, index, other in self._parts:
                if self._decide(index, other, rules)[0] & self._cluster.outside:
                    ports = self._sets.union(ports, part)
            if ports == NOTHING:
                continue
            if found and found[-1][1] == low - 1 and found[-1][2] == ports:
                found[-1] = (found[-1][0], high, ports)
            else:
                found.append((low, high, ports))
        return tuple(found)

    def _open_to(self, members: Mask, line: Iterable[tuple[int, int, Covering]]) -> Cells:
        places = self._residents(members, line)
        unknown = self._cluster.addresses.unknown & members
        cells: Cells = {}
        for ports, index, other in self._parts:
            closed = closed_ipv4 = closed_ipv6 = denied_ipv4 = 0
            for rules, residents in places.items():
                opened, denied = self._decide(index, other, rules)
                shut = self._everyone ^ opened
                closed |= residents.known & shut
                if residents.may_be_ipv4:
                    closed_ipv4 |= unknown & shut
                    denied_ipv4 |= unknown & denied
                if residents.may_be_ipv6:
                    closed_ipv6 |= unknown & shut
            # To pods at unknown addresses it does not help that IPv6 is open where a tier denies IPv4.
            somewhere = unknown & ~(closed_ipv4 & (closed_ipv6 | denied_ipv4))
            if opened_to := members & ~unknown & ~closed | somewhere:
                cells = overlay(cells, opened_to, ports, self._sets)
        return cells

    def _residents(
        self, members: Mask, line: Iterable[tuple[int, int, Covering]]
    ) -> dict[Covering, _Residents]:
        """The places of members, by the rules that name their addresses."""
        places: dict[Covering, _Residents] = {}
        has_unknown = bool(self._cluster.addresses.unknown & members)
        for low, high, rules in line:
            known = self._cluster.addresses.within(low, high) & members
            ipv4, ipv6 = (has_unknown and _meets(low, high, family) for family in _POSSIBLE)
            if known or ipv4 or ipv6:
                place = places.setdefault(rules, _Residents())
                place.known |= known
                place.may_be_ipv4 |= ipv4
                place.may_be_ipv6 |= ipv6
        return places

    def _decide(self, index: int, other: int, rules: Covering) -> tuple[Mask, Mask]:
        """To whom a part of the ports is open, and to whom a tier denies it, where these rules name the
        address."""
        accepted, denied = self._first.decide(index, rules)
        left = self._everyone ^ accepted ^ denied
        accepted_then, denied_then = self._then.decide(other, rules >> len(self._first.rulings))
        opened_then = self._everyone ^ denied_then if self._is_open_behind else accepted_then
        return accepted | left & opened_then, denied | left & denied_then


def _meets(low: int, high: int, intervals: Iterable[tuple[int, int]]) -> bool:
    """Whether a stretch of the line has a point of one of these intervals."""
    return any(low <= last and first <= high for first, last in intervals)
