"""All addresses on one line of integers, IPv6 after IPv4, and what a set of rules opens along it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import reduce
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from operator import itemgetter

from istio_netpol.model.addresses import Address, AddressSet
from istio_netpol.model.intervals import Interval, canonical
from istio_netpol.netpol.ip_blocks import POSSIBLE_ADDRESSES
from istio_netpol.netpol.masks import Cells, Mask, positions
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING, PortSets

FIRST_IPV6 = 2**32
LAST = FIRST_IPV6 + 2**128 - 1

Stretch = tuple[int, int, int]
"""First and last point of the line between which the same ports are open, and the number of those ports."""
Stretches = tuple[Stretch, ...]


def point(address: Address) -> int:
    """Where an address is on the line."""
    return int(address) + (FIRST_IPV6 if address.version == 6 else 0)


def address_at(position: int) -> Address:
    """The address at a point of the line."""
    return IPv4Address(position) if position < FIRST_IPV6 else IPv6Address(position - FIRST_IPV6)


def stretches(admitted: Iterable[tuple[AddressSet, int]], sets: PortSets) -> Stretches:
    """What rules open along the line, from the addresses and the number of the ports of each.

    The stretches are maximal, ascending, and cover the line except where no port is open. At a turn of the
    line each set of ports there either begins or ceases to be open: what one set opens is canonical.
    """
    turns = _turns(admitted)
    found: list[Stretch] = []
    active: set[int] = set()
    for start, end in pairwise(sorted(turns)):
        active ^= turns[start]
        ports = reduce(sets.union, active, NOTHING)
        if ports == NOTHING:
            continue
        if found and found[-1][1] == start - 1 and found[-1][2] == ports:
            found[-1] = (found[-1][0], end - 1, ports)
        else:
            found.append((start, end - 1, ports))
    return tuple(found)


def _turns(admitted: Iterable[tuple[AddressSet, int]]) -> dict[int, set[int]]:
    """The points of the line where ports begin or cease to be open, with the numbers of those port sets."""
    by_ports: dict[int, list[Interval]] = {}
    for addresses, ports in admitted:
        by_ports.setdefault(ports, []).extend(bounds(addresses))
    turns: dict[int, set[int]] = {}
    for ports, intervals in by_ports.items():
        for low, high in canonical(intervals):
            turns.setdefault(low, set()).add(ports)
            turns.setdefault(high + 1, set()).add(ports)
    return turns


def bounds(addresses: AddressSet) -> list[Interval]:
    """The first and last points of a set of addresses on the line, ascending."""
    shifted = [(low + FIRST_IPV6, high + FIRST_IPV6) for low, high in addresses.ipv6]
    return [*addresses.ipv4, *shifted]


def addresses_between(low: int, high: int) -> AddressSet:
    """The addresses from one point of the line to another one."""
    ipv4 = ((low, min(high, FIRST_IPV6 - 1)),) if low < FIRST_IPV6 else ()
    ipv6 = ((max(low, FIRST_IPV6) - FIRST_IPV6, high - FIRST_IPV6),) if high >= FIRST_IPV6 else ()
    return AddressSet(ipv4, ipv6)


def ports_at(line: Stretches, position: int) -> int:
    """The number of the ports that are open at a point of the line."""
    index = bisect_right(line, position, key=itemgetter(0)) - 1
    return line[index][2] if index >= 0 and position <= line[index][1] else NOTHING


def ports_throughout(line: Stretches, low: int, high: int, sets: PortSets) -> int:
    """The number of the ports that are open at every point from `low` to `high`."""
    common, reached = EVERY_PORT, low
    for start, end, ports in line:
        if end < reached:
            continue
        if start > reached:
            return NOTHING
        common = sets.intersection(common, ports)
        reached = end + 1
        if reached > high:
            return common
    return NOTHING


def _ports_of_family(line: Stretches, family: AddressSet, sets: PortSets) -> int:
    """The number of the ports that are open at every address of a family that pods may have."""
    parts = (ports_throughout(line, low, high, sets) for low, high in bounds(family))
    return reduce(sets.intersection, parts)


class WorkloadAddresses:
    """Which workloads are where on the line, to tell which ports rules with ipBlocks open to them."""

    def __init__(self, addresses: Sequence[Sequence[Address]]) -> None:
        """`addresses` holds those of each workload in order of position; none where they are unknown."""
        self._places = [sorted({point(member) for member in members}) for members in addresses]
        self.unknown: Mask = 0
        residents: dict[int, Mask] = {}
        for position, places in enumerate(self._places):
            for place in places:
                residents[place] = residents.get(place, 0) | 1 << position
            if not places:
                self.unknown |= 1 << position
        self._points = sorted(residents)
        self._residents = [residents[place] for place in self._points]
        self._within: dict[tuple[int, int], tuple[Mask, Mask]] = {}

    def cells(self, line: Stretches, sets: PortSets) -> Cells:
        """The workloads by the ports that are open at all of their addresses."""
        cells: Cells = {}
        split: Mask = 0
        for low, high, ports in line:
            inside, part = self._living(bisect_left(self._points, low), bisect_right(self._points, high))
            cells[ports] = cells.get(ports, 0) | inside
            split |= part
        for position in positions(split):
            ports = reduce(sets.intersection, (ports_at(line, place) for place in self._places[position]))
            cells[ports] = cells.get(ports, 0) | 1 << position
        if self.unknown:
            ipv4, ipv6 = (_ports_of_family(line, family, sets) for family in POSSIBLE_ADDRESSES)
            ports = sets.union(ipv4, ipv6)
            cells[ports] = cells.get(ports, 0) | self.unknown
        return {ports: mask for ports, mask in cells.items() if mask}

    def within(self, low: int, high: int) -> Mask:
        """The workloads of which an address is on a stretch of the line."""
        inside, part = self._living(bisect_left(self._points, low), bisect_right(self._points, high))
        return inside | part

    def _living(self, start: int, stop: int) -> tuple[Mask, Mask]:
        """Of the points at indexes `start` to before `stop`: who is only there, and who is elsewhere too."""
        if start == stop:
            return 0, 0
        known = self._within.get((start, stop))
        if known is None:
            known = self._within[start, stop] = self._residents_of(start, stop)
        return known

    def _residents_of(self, start: int, stop: int) -> tuple[Mask, Mask]:
        here: Mask = 0
        for resident in self._residents[start:stop]:
            here |= resident
        first, last = self._points[start], self._points[stop - 1]
        elsewhere: Mask = 0
        for position in positions(here):
            places = self._places[position]
            if places[0] < first or places[-1] > last:
                elsewhere |= 1 << position
        return here ^ elsewhere, elsewhere
