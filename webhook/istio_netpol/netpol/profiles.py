"""Works out what isolates workloads in one direction and what the rules then admit, once for all workloads
alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from msgspec import Struct

from istio_netpol.model.addresses import ALL_ADDRESSES, NO_ADDRESSES, Address, AddressSet
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPort
from istio_netpol.model.tiers import Action, Tier
from istio_netpol.model.verdicts import RuleRef
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.address_line import (
    LAST,
    Stretches,
    addresses_between,
    stretches,
)
from istio_netpol.netpol.cluster_masks import ClusterMasks, PortName
from istio_netpol.netpol.fronts import OpenedFronts
from istio_netpol.netpol.masks import Cells, Mask, overlay, positions, union
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING, PortSets
from istio_netpol.netpol.ports import names, opened
from istio_netpol.netpol.shared_exceptions import has_exceptions, regions, rules_at
from istio_netpol.netpol.stages import Ruling, Stage
from istio_netpol.netpol.tier_stages import TierStages
from istio_netpol.netpol.two_stages import TwoStages
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.state.tier_index import Tiers

_Isolating = tuple[NetworkPolicy, ...]


class Profile(Struct, frozen=True, eq=False):
    """One direction of a workload: the ports open between it and other workloads, and it and addresses."""

    cells: Cells
    line: Stretches


class _Admission(Struct, frozen=True, eq=False):
    """A rule: the workloads it names by what they are, the addresses it names, and its ports. `selected` are
    those that its selectors name."""

    named: Mask
    addresses: AddressSet
    ports: tuple[PolicyPort, ...]
    selected: Mask
    ref: RuleRef


class Profiles:
    """Profiles of the workloads of a snapshot; `ports` of cells and lines are numbers of `sets`."""

    def __init__(self, snapshot: Snapshot, cluster: ClusterMasks, sets: PortSets) -> None:
        self._snapshot = snapshot
        self._cluster = cluster
        self._sets = sets
        self._open = Profile({EVERY_PORT: cluster.everyone}, ((0, LAST, EVERY_PORT),))
        self._admissions: dict[tuple[NetworkPolicy, Direction], list[_Admission]] = {}
        self._ports: dict[tuple[PolicyPort, ...], int] = {}
        self._stages = TierStages(snapshot, cluster, sets)
        self._fronts = OpenedFronts(snapshot)
        self._matches_pods = snapshot.network.model.ip_blocks_match_pods
        self._matchable: Mask = cluster.matchable(snapshot.network)
        self._port_names: dict[tuple[_Isolating, Tiers], list[PortName]] = {}
        self._egress: dict[tuple[_Isolating, Tiers], Profile] = {}
        self._ingress: dict[tuple[object, ...], Profile] = {}

    def egress(self, workload: Workload) -> Profile:
        """What the workload may call. Workloads that the same policies isolate share one profile object."""
        policies = self._isolating(workload, Direction.EGRESS)
        tiers = self._tiers(workload, Direction.EGRESS)
        if not policies and not tiers:
            return self._open
        found = self._egress.get((policies, tiers))
        if found is None:
            found = self._egress[policies, tiers] = self._egress_of(policies, tiers)
        return found

    def ingress(self, workload: Workload) -> Profile:
        """What may call the workload. Port names mean the ports of its own containers."""
        policies = self._isolating(workload, Direction.INGRESS)
        tiers = self._tiers(workload, Direction.INGRESS)
        if not policies and not tiers:
            return self._open
        known = self._port_names.get((policies, tiers))
        if known is None:
            known = self._port_names[policies, tiers] = self._names(policies, tiers, Direction.INGRESS)
        identity = (policies, tiers, tuple(workload.named_port(*name) for name in known))
        found = self._ingress.get(identity)
        if found is None:
            found = self._ingress[identity] = self._profile(policies, tiers, Direction.INGRESS, workload)
        return found

    def _isolating(self, workload: Workload, direction: Direction) -> _Isolating:
        policies = self._snapshot.policies_for(workload)
        return tuple(policy for policy in policies if direction in policy.policy_types)

    def _tiers(self, workload: Workload, direction: Direction) -> Tiers:
        tiers = self._snapshot.tiers_for(workload)
        return tuple(policy for policy in tiers if policy.rules(direction)) if tiers else ()

    def _names(self, policies: _Isolating, tiers: Tiers, direction: Direction) -> list[PortName]:
        """The port names in rules that count, sorted."""
        ports = [rule.ports for policy in policies for rule in policy.rules(direction)]
        ports += [rule.ports for policy in tiers for rule in policy.rules(direction)]
        return sorted({name for entries in ports for name in names(entries)})

    def _rules(self, policies: _Isolating, direction: Direction) -> list[_Admission]:
        return [rule for policy in policies for rule in self._admissions_of(policy, direction)]

    def _admissions_of(self, policy: NetworkPolicy, direction: Direction) -> list[_Admission]:
        known = self._admissions.get((policy, direction))
        if known is None:
            known = self._admissions[policy, direction] = [
                self._admission(RuleRef(policy, direction, index))
                for index in range(len(policy.rules(direction)))
            ]
        return known

    def _admission(self, ref: RuleRef) -> _Admission:
        rule, cluster = ref.rule, self._cluster
        named = cluster.named(rule.peers, ref.policy.namespace)
        if not rule.peers:
            return _Admission(named, ALL_ADDRESSES, rule.ports, 0, ref)
        addresses = rule.addresses
        if addresses and self._snapshot.network.tells_addresses_apart:
            addresses -= self._snapshot.beyond_ip_blocks
        return _Admission(named, addresses, rule.ports, named, ref)

    def _egress_of(self, policies: _Isolating, tiers: Tiers) -> Profile:
        """Port names depend on the destination, so destinations that agree on them come together."""
        outside = self._profile(policies, tiers, Direction.EGRESS, None)
        cells: Cells = {}
        wanted = self._names(policies, tiers, Direction.EGRESS)
        for alike, shown in self._cluster.by_resolution(wanted):
            profile = self._profile(policies, tiers, Direction.EGRESS, shown) if shown else outside
            for ports, mask in profile.cells.items():
                cells[ports] = cells.get(ports, 0) | (mask & alike)
        return Profile({ports: mask for ports, mask in cells.items() if mask}, outside.line)

    def _profile(
        self, policies: _Isolating, tiers: Tiers, direction: Direction, called: Workload | None
    ) -> Profile:
        """The profile of pods for which these policies count; `called` gives port names their numbers."""
        rules = self._rules(policies, direction)
        if not tiers and self._snapshot.network.judges_before:
            return self._before_translation(policies, direction, called)
        if not tiers:
            line = self._line(rules, called)
            return Profile(self._cells(rules, line, called), line)
        first, last = (tuple(policy for policy in tiers if policy.tier is tier) for tier in Tier)
        admin = self._stages.of(first, direction, called)
        then = self._isolated(rules, called) if policies else self._stages.of(last, direction, called)
        both = TwoStages(admin, then, not policies, self._cluster, self._sets)
        return Profile(both.cells(), both.line())

    def _isolated(self, rules: Sequence[_Admission], called: Workload | None) -> Stage:
        """What NetworkPolicies allow: their rules have no order, and deny nothing."""
        rulings = [
            Ruling(
                Action.ACCEPT,
                self._opened(rule.ports, called),
                rule.named,
                rule.addresses if self._matches_pods or not rule.ref.rule.peers else NO_ADDRESSES,
                rule.addresses,
            )
            for rule in rules
        ]
        return Stage([[rulings]], self._cluster.everyone | self._cluster.outside, self._sets)

    def _cells(self, rules: Sequence[_Admission], line: Stretches, called: Workload | None) -> Cells:
        """The workloads by the ports that the rules open; the line tells of those that ipBlocks admit."""
        cells: Cells = {}
        for rule in rules:
            cells = overlay(cells, rule.named, self._opened(rule.ports, called), self._sets)
        for ports, mask in self._cluster.addresses.cells(line, self._sets).items():
            cells = overlay(cells, mask & self._matchable, ports, self._sets)
        return cells

    def _before_translation(
        self, policies: _Isolating, direction: Direction, called: Workload | None
    ) -> Profile:
        """The profile where addresses are judged before a Service is translated: rules share their
        exceptions, and a selector opens the ClusterIPs of Services too."""
        rules = self._rules(policies, direction)
        if has_exceptions(policies, direction):
            line = self._with_shared_exceptions(policies, direction, called)
            cells = self._cells((), line, called)
            naming = [rule for rule in rules if self._opened(rule.ports, called) != NOTHING]
            for position in positions(union(rule.selected for rule in naming)):
                cells = self._with_entry(cells, position, policies, direction, called)
            for rule in rules:
                cells = overlay(cells, rule.selected, self._opened(rule.ports, called), self._sets)
        else:
            line = self._line(rules, called)
            cells = self._cells(rules, line, called)
        if direction is Direction.EGRESS:
            line = self._with_fronts(rules, policies, line)
        return Profile(cells, line)

    def _with_entry(
        self,
        cells: Cells,
        position: int,
        policies: _Isolating,
        direction: Direction,
        called: Workload | None,
    ) -> Cells:
        """The cells with what CIDRs open to a workload that has an entry of its own, where it is known to
        be."""
        addresses = self._cluster.workloads[position].addresses
        if not addresses:
            return cells
        ports = reduce(
            self._sets.intersection,
            (self._opened_at(policies, direction, address, called) for address in addresses),
        )
        bit = 1 << position
        rest = {number: mask & ~bit for number, mask in cells.items() if mask & ~bit}
        return overlay(rest, bit & self._matchable, ports, self._sets)

    def _opened_at(
        self, policies: _Isolating, direction: Direction, address: Address, called: Workload | None
    ) -> int:
        found = rules_at(policies, direction, address)
        return reduce(self._sets.union, (self._opened(ref.rule.ports, called) for ref in found), NOTHING)

    def _with_shared_exceptions(
        self, policies: _Isolating, direction: Direction, called: Workload | None
    ) -> Stretches:
        return stretches(
            (
                (addresses, self._opened(ref.rule.ports, called))
                for addresses, refs in regions(policies, direction)
                for ref in refs
            ),
            self._sets,
        )

    def _with_fronts(self, rules: Sequence[_Admission], policies: _Isolating, line: Stretches) -> Stretches:
        """A line with what rules open at the ClusterIPs of the Services that their selectors bring in."""
        found: dict[Address, set[int]] = {}
        for rule in rules:
            for address, ports in self._fronts.opened_by(rule.ref):
                found.setdefault(address, set()).add(self._sets.number(ports))
        if not found:
            return line
        for address, numbers in found.items():
            numbers.add(self._opened_at(policies, Direction.EGRESS, address, None))
        taken = AddressSet.of(*found)
        kept = ((addresses_between(low, high) - taken, ports) for low, high, ports in line)
        added = (
            (AddressSet.of(place), ports)
            for place, numbers in found.items()
            for ports in numbers
            if ports != NOTHING
        )
        return stretches((*kept, *added), self._sets)

    def _line(self, rules: Sequence[_Admission], called: Workload | None) -> Stretches:
        return stretches(
            ((rule.addresses, self._opened(rule.ports, called)) for rule in rules if rule.addresses),
            self._sets,
        )

    def _opened(self, ports: tuple[PolicyPort, ...], called: Workload | None) -> int:
        if names(ports):
            return self._sets.number(opened(ports, called))
        number = self._ports.get(ports)
        if number is None:
            number = self._ports[ports] = self._sets.number(opened(ports, None))
        return number
