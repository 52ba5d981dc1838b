"""The sides and policies of one state, in the numbers of a whole document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from istio_netpol.analysis.ambient.tunnels import Tunnels, carried, has_ambient_mode
from istio_netpol.analysis.reachability.document import (
    ABSENT,
    DirectionProfiles,
    Numbered,
    PeerProfile,
    ResolvedPolicy,
    ResolvedRule,
)
from istio_netpol.analysis.reachability.outside import OutsidePeer, ports_at_all
from istio_netpol.analysis.reachability.state_reading import StateReading
from istio_netpol.analysis.unread_policies import UnreadPolicies
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.address_line import Stretches, stretches
from istio_netpol.netpol.masks import Cells, Mask, positions
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING, PortSets
from istio_netpol.netpol.profiles import Profile, Profiles


class NumberedState:
    """A state whose workloads have numbers; `numbers` has them by name, those of `outside` follow."""

    def __init__(
        self,
        reading: StateReading,
        numbers: Mapping[str, int],
        outside: Sequence[OutsidePeer],
        ports: PortSets,
    ) -> None:
        self._snapshot, self._cluster, self._ports = reading.snapshot, reading.cluster, ports
        self._profiles = Profiles(reading.snapshot, reading.cluster, ports)
        self._numbers = [numbers[name] for name in reading.names]
        self._is_same = self._numbers == list(range(len(numbers)))
        self._count = len(numbers)
        self._outside = outside
        self._masks: dict[Mask, Mask] = {}
        self._beyond: dict[Stretches, dict[int, Mask]] = {}
        self._tunnels = _TunnelMasks(reading) if has_ambient_mode(reading.snapshot) else None

    def policies(self) -> Iterator[NetworkPolicy]:
        """Every policy of the state."""
        return self._snapshot.every(NetworkPolicy)

    def resolved(self, policy: NetworkPolicy) -> ResolvedPolicy:
        """A policy with the numbers of the peers that its rules mean."""
        egress, ingress = (
            tuple(self._rule(rule, policy.namespace) for rule in policy.rules(direction))
            if direction in policy.policy_types
            else ()
            for direction in (Direction.EGRESS, Direction.INGRESS)
        )
        return ResolvedPolicy(policy, egress, ingress)

    def _rule(self, rule: PolicyRule, namespace: str) -> ResolvedRule:
        if not rule.peers:
            return ResolvedRule(0, True, rule.addresses, rule.ports)
        peers = self._cluster.named(rule.peers, namespace)
        beyond: Mask = 0
        if rule.addresses:
            addresses, network = rule.addresses, self._snapshot.network
            if network.tells_addresses_apart:
                addresses -= self._snapshot.beyond_ip_blocks
            line = stretches([(addresses, EVERY_PORT)], self._ports)
            at_addresses = self._cluster.addresses.cells(line, self._ports).get(EVERY_PORT, 0)
            peers |= at_addresses & self._cluster.matchable(network)
            beyond = self._outside_of(line).get(EVERY_PORT, 0)
        return ResolvedRule(self._renumbered(peers) | beyond, False, rule.addresses, rule.ports)

    def side(
        self,
        direction: Direction,
        profiles: Numbered[PeerProfile],
        policies: Mapping[NetworkPolicy, int],
    ) -> DirectionProfiles:
        """One direction of all workloads."""
        by_workload = [ABSENT] * self._count
        isolated: list[tuple[int, ...]] = [()] * self._count
        tiers, not_read = {}, {}
        unread = UnreadPolicies(self._snapshot)
        known: dict[tuple[int, int | None], int] = {}
        for workload, number in zip(self._cluster.workloads, self._numbers, strict=True):
            profile, kind = self._profile(workload, direction), self._kind(workload)
            if (id(profile), kind) not in known:
                known[id(profile), kind] = profiles.number(self._numbered(profile, direction, kind))
            by_workload[number] = known[id(profile), kind]
            isolated[number] = tuple(
                policies[policy]
                for policy in self._snapshot.policies_for(workload)
                if direction in policy.policy_types
            )
            if ruling := [policy for policy in self._snapshot.tiers_for(workload) if policy.rules(direction)]:
                tiers[number] = tuple(ruling)
            if titles := [policy.title for policy in unread.selecting(workload, direction)]:
                not_read[number] = tuple(titles)
        return DirectionProfiles(tuple(by_workload), tuple(isolated), tiers, not_read)

    def _profile(self, workload: Workload, direction: Direction) -> Profile:
        side = self._profiles.egress if direction is Direction.EGRESS else self._profiles.ingress
        return side(workload)

    def _kind(self, workload: Workload) -> int | None:
        return self._tunnels.kind(workload) if self._tunnels else None

    def _numbered(self, profile: Profile, direction: Direction, kind: int | None) -> PeerProfile:
        cells = {ports: mask & self._cluster.everyone for ports, mask in profile.cells.items()}
        if self._tunnels and kind is not None:
            cells = self._tunnels.through(cells, self._tunnels.joined(kind, direction), self._ports)
        whole = {ports: self._renumbered(mask) for ports, mask in cells.items()}
        for ports, beyond in self._outside_of(profile.line).items():
            whole[ports] = whole.get(ports, 0) | beyond
        kept = sorted((ports, mask) for ports, mask in whole.items() if mask and ports != NOTHING)
        return PeerProfile(tuple(kept), profile.line)

    def _outside_of(self, line: Stretches) -> dict[int, Mask]:
        """The outside peers at all of whose addresses the same ports are open."""
        known = self._beyond.get(line)
        if known is None:
            known = self._beyond[line] = {}
            for place, peer in enumerate(self._outside):
                ports = ports_at_all(peer.addresses, line, self._ports) if peer.addresses else NOTHING
                if ports != NOTHING:
                    known[ports] = known.get(ports, 0) | 1 << (self._count + place)
        return known

    def _renumbered(self, mask: Mask) -> Mask:
        """The same workloads in the document's numbers."""
        if self._is_same:
            return mask
        known = self._masks.get(mask)
        if known is None:
            known = sum(1 << self._numbers[position] for position in positions(mask))
            self._masks[mask] = known
        return known


class _TunnelMasks:
    """Which workloads, by position, have tunnels with those of a kind."""

    def __init__(self, reading: StateReading) -> None:
        self._tunnels = Tunnels(reading.snapshot, reading.settings)
        self._members: dict[int, Mask] = {}
        for position, workload in enumerate(reading.cluster.workloads):
            kind = self.kind(workload)
            self._members[kind] = self._members.get(kind, 0) | 1 << position

    def kind(self, workload: Workload) -> int:
        return self._tunnels.kind_of(workload)

    def joined(self, kind: int, direction: Direction) -> Mask:
        """Those at the other end of tunnels that begin, or for ingress end, at workloads of a kind."""
        joined: Mask = 0
        for other, members in self._members.items():
            ends = (kind, other) if direction is Direction.EGRESS else (other, kind)
            if self._tunnels.join(*ends):
                joined |= members
        return joined

    @staticmethod
    def through(cells: Cells, joined: Mask, ports: PortSets) -> Cells:
        """The cells with what a tunnel carries in place of what policies see of it. It is enough to say so of
        each side: a tunnel is open where both sides open its port."""
        found: Cells = {}
        for number, mask in cells.items():
            inside = ports.number(carried(ports.value(number)))
            for carried_ports, members in ((number, mask & ~joined), (inside, mask & joined)):
                if members:
                    found[carried_ports] = found.get(carried_ports, 0) | members
        return found
