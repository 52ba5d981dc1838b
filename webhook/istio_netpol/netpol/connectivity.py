"""Works out everything that the policies of a snapshot allow: who may call whom, on which ports.

A connection needs the egress side of its source and the ingress side of its destination. Egress is known by
source as masks of destinations, ingress by destination as masks of sources. The latter is turned round, so
that each source has masks of destinations on both sides, and only what both hold is ever written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from istio_netpol.model.connections import ConnectionSet
from istio_netpol.netpol.address_line import FIRST_IPV6, Stretches, address_at
from istio_netpol.netpol.cluster_masks import ClusterMasks
from istio_netpol.netpol.ipv6 import knows_ipv6
from istio_netpol.netpol.masks import Cells, Mask, positions
from istio_netpol.netpol.port_sets import NOTHING, PortSets
from istio_netpol.netpol.profiles import Profile, Profiles
from istio_netpol.state.snapshot import Snapshot


class Allowed(NamedTuple):
    """Two peers and all that may flow; a peer is `namespace/Kind/name` or an address range `low-high`."""

    source: str
    destination: str
    ports: ConnectionSet


def connections(snapshot: Snapshot, *, with_ipv6: bool = False) -> Iterator[Allowed]:
    """Every allowed connection among workloads and addresses, sorted by source and destination.

    Address ranges come before workloads and in the order of their addresses, IPv4 first, the shorter first
    where two begin alike; workloads in the order of their names. The ranges of one workload and direction
    are disjoint, and maximal for their ports. IPv6 ranges are listed only where the snapshot has an IPv6
    address anywhere, or `with_ipv6` says so. A workload's connections to itself are left out.
    """
    return _Reachability(snapshot, with_ipv6 or knows_ipv6(snapshot)).rows()


class _Reachability:
    def __init__(self, snapshot: Snapshot, with_ipv6: bool) -> None:
        self._sets = PortSets()
        self._cluster = ClusterMasks(snapshot)
        self._with_ipv6 = with_ipv6
        profiles = Profiles(snapshot, self._cluster, self._sets)
        self._egress = [profiles.egress(workload) for workload in self._cluster.workloads]
        self._ingress = [profiles.ingress(workload) for workload in self._cluster.workloads]
        self._names = [workload.peer_name for workload in self._cluster.workloads]
        self._admitting: list[tuple[Mask, int]] = []
        self._admitted: list[list[int]] = [[] for _ in self._names]
        self._turn_round()
        self._known: dict[tuple[Profile, tuple[int, ...]], Cells] = {}

    def rows(self) -> Iterator[Allowed]:
        yield from self._from_ranges()
        for position, name in enumerate(self._names):
            for low, high, ports in self._ranges(self._egress[position].line):
                yield Allowed(name, _text(low, high), self._sets.value(ports))
            for destination, ports in self._called_by(position):
                yield Allowed(name, self._names[destination], self._sets.value(ports))

    def _turn_round(self) -> None:
        """From "these may call this one" to "this one may call these", equal callers in one mask."""
        alike: dict[tuple[Mask, int], Mask] = {}
        for profile, members in _by_profile(self._ingress).items():
            for ports, callers in profile.cells.items():
                alike[callers, ports] = alike.get((callers, ports), 0) | members
        for number, ((callers, ports), members) in enumerate(alike.items()):
            self._admitting.append((members, ports))
            for position in positions(callers):
                self._admitted[position].append(number)

    def _called_by(self, source: int) -> Iterator[tuple[int, int]]:
        """The positions of the workloads that a workload may call, ascending, and the ports."""
        cells = self._both_sides(self._egress[source], tuple(self._admitted[source]))
        found = [(position, ports) for ports, mask in cells.items() for position in positions(mask)]
        if len(cells) > 1:
            found.sort()
        return (connection for connection in found if connection[0] != source)

    def _both_sides(self, egress: Profile, admitted: tuple[int, ...]) -> Cells:
        known = self._known.get((egress, admitted))
        if known is None:
            known = self._known[egress, admitted] = {}
            for number in admitted:
                members, ingress_ports = self._admitting[number]
                for egress_ports, reached in egress.cells.items():
                    if common := members & reached:
                        ports = self._sets.intersection(egress_ports, ingress_ports)
                        known[ports] = known.get(ports, 0) | common
            known.pop(NOTHING, None)
        return known

    def _from_ranges(self) -> Iterator[Allowed]:
        callers: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for position, profile in enumerate(self._ingress):
            for low, high, ports in self._ranges(profile.line):
                callers.setdefault((low, high), []).append((position, ports))
        for low, high in sorted(callers):
            text = _text(low, high)
            for position, ports in callers[low, high]:
                yield Allowed(text, self._names[position], self._sets.value(ports))

    def _ranges(self, line: Stretches) -> Iterator[tuple[int, int, int]]:
        """The stretches of a line as ranges of one family each."""
        for low, high, ports in line:
            if low < FIRST_IPV6:
                yield low, min(high, FIRST_IPV6 - 1), ports
            if self._with_ipv6 and high >= FIRST_IPV6:
                yield max(low, FIRST_IPV6), high, ports


def _by_profile(profiles: list[Profile]) -> dict[Profile, Mask]:
    members: dict[Profile, Mask] = {}
    for position, profile in enumerate(profiles):
        members[profile] = members.get(profile, 0) | 1 << position
    return members


def _text(low: int, high: int) -> str:
    return f"{address_at(low)}-{address_at(high)}"
