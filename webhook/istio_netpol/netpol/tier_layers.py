"""What a tier decides of all peers of a workload at once: along the line of addresses, for workloads that
its rules name alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.policies import Direction, PolicyPort
from istio_netpol.model.tiers import Action, TierPolicy, TierRule
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.address_line import FIRST_IPV6, LAST, Stretches, bounds
from istio_netpol.netpol.cluster_masks import ClusterMasks
from istio_netpol.netpol.masks import Mask
from istio_netpol.netpol.podless_addresses import POSSIBLE_ADDRESSES
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING, PortSets
from istio_netpol.netpol.ports import names, opened
from istio_netpol.netpol.tiers import node_addresses
from istio_netpol.state.snapshot import Snapshot

Layer = tuple[tuple[int, int, int, int], ...]
"""The whole line in stretches: first and last point, the number of the ports that are open there, and of
those that a tier denies."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What one tier says of the peers of a workload: of workloads in groups that it treats alike, and of
    addresses outside. The groups are disjoint and hold every workload."""

    groups: tuple[tuple[Mask, Layer], ...]
    outside: Layer


@dataclass(frozen=True, slots=True, eq=False)
class _Ruling:
    """A rule with the workloads that it names for what they are, and the addresses that it names for pods,
    and for all who are not in a pod's network: Nodes are at theirs."""

    rule: TierRule
    policy: TierPolicy
    named: Mask
    networks: AddressSet
    addresses: AddressSet


class TierLayers:
    """Works out the layers of the policies of one tier; `ports` are numbers of `sets`."""

    def __init__(self, snapshot: Snapshot, cluster: ClusterMasks, sets: PortSets) -> None:
        self._snapshot = snapshot
        self._cluster = cluster
        self._sets = sets
        self._ports: dict[tuple[PolicyPort, ...], int] = {}
        self._rulings: dict[tuple[TierPolicy, Direction], tuple[_Ruling, ...]] = {}

    def of(self, policies: Sequence[TierPolicy], direction: Direction, called: Workload | None) -> Layers:
        """What these policies, in their order, accept and deny; `called` gives port names their numbers."""
        rulings = [ruling for policy in policies for ruling in self._rulings_of(policy, direction)]
        numbers = [self._opened(ruling.rule.ports, called) for ruling in rulings]
        deciding = _Deciding(rulings, numbers, self._sets)
        hosts = self._cluster.everyone & ~self._cluster.pods
        pods_line = _covering([ruling.networks for ruling in rulings])
        hosts_line = _covering([ruling.addresses for ruling in rulings])
        groups: list[tuple[Mask, Layer]] = []
        for naming, mask in _by_naming(rulings, self._cluster.everyone):
            for part, line in ((mask & ~hosts, pods_line), (mask & hosts, hosts_line)):
                if part:
                    groups.append((part, deciding.layer(naming, line)))
        return Layers(tuple(groups), deciding.layer((), hosts_line))

    def _rulings_of(self, policy: TierPolicy, direction: Direction) -> tuple[_Ruling, ...]:
        known = self._rulings.get((policy, direction))
        if known is None:
            known = tuple(self._ruling(policy, rule) for rule in policy.rules(direction))
            self._rulings[policy, direction] = known
        return known

    def _ruling(self, policy: TierPolicy, rule: TierRule) -> _Ruling:
        named = self._cluster.named(rule.selectors, "") if rule.selectors else 0
        if any(selector.is_everything for selector in rule.nodes):
            named |= self._cluster.everyone & ~self._cluster.pods
        nodes = node_addresses(rule.nodes, self._snapshot) if rule.nodes else AddressSet()
        return _Ruling(rule, policy, named, rule.networks, rule.networks | nodes)

    def _opened(self, ports: tuple[PolicyPort, ...], called: Workload | None) -> int:
        if called is not None and names(ports):
            return self._sets.number(opened(ports, called))
        number = self._ports.get(ports)
        if number is None:
            number = self._ports[ports] = self._sets.number(opened(ports, None))
        return number


class _Deciding:
    """Decides which ports the rules that match a peer accept and deny; rules go by their positions."""

    def __init__(self, rulings: Sequence[_Ruling], numbers: Sequence[int], sets: PortSets) -> None:
        self._rulings = rulings
        self._numbers = numbers
        self._sets = sets
        self._actions = [ruling.rule.action for ruling in rulings]
        self._shared = _shared_priorities(rulings)
        self._known: dict[tuple[int, ...], tuple[int, int]] = {}

    def layer(self, naming: tuple[int, ...], line: Sequence[tuple[int, int, tuple[int, ...]]]) -> Layer:
        """The layer of peers that the rules of `naming` name, at the addresses that those of `line` name."""
        found: list[tuple[int, int, int, int]] = []
        for low, high, covering in line:
            matching = tuple(sorted({*naming, *covering})) if naming and covering else naming or covering
            decided = self._known.get(matching)
            if decided is None:
                decided = self._known[matching] = self._decided(matching)
            if found and found[-1][2:] == decided:
                found[-1] = (found[-1][0], high, *decided)
            else:
                found.append((low, high, *decided))
        return tuple(found)

    def _decided(self, matching: tuple[int, ...]) -> tuple[int, int]:
        return self._among_alike(matching) if self._shared else self._one_by_one(matching)

    def _one_by_one(self, matching: tuple[int, ...]) -> tuple[int, int]:
        """The same where every policy has a priority of its own, so that its rules come in their order."""
        sets, left = self._sets, EVERY_PORT
        accepted = denied = NOTHING
        for position in matching:
            ports, action = sets.intersection(self._numbers[position], left), self._actions[position]
            if action is Action.DENY:
                denied = sets.union(denied, ports)
            elif action is Action.ACCEPT:
                accepted = sets.union(accepted, ports)
            left = sets.difference(left, ports)
            if left == NOTHING:
                break
        return accepted, denied

    def _among_alike(self, matching: tuple[int, ...]) -> tuple[int, int]:
        sets, left = self._sets, EVERY_PORT
        accepted = denied = NOTHING
        for _, alike in groupby(matching, key=lambda position: self._rulings[position].policy.priority):
            found = self._of_priority(tuple(alike), left)
            # Of policies that share a priority the one counts that lets least pass: see `tiers.decide`.
            for action in (Action.DENY, Action.PASS, Action.ACCEPT):
                ports = sets.intersection(found[action], left)
                left = sets.difference(left, ports)
                if action is Action.DENY:
                    denied = sets.union(denied, ports)
                elif action is Action.ACCEPT:
                    accepted = sets.union(accepted, ports)
            if left == NOTHING:
                break
        return accepted, denied

    def _of_priority(self, matching: tuple[int, ...], undecided: int) -> dict[Action, int]:
        """The ports by action, the rules of each policy in their order."""
        sets, found = self._sets, dict.fromkeys(Action, NOTHING)
        for _, own in groupby(matching, key=lambda position: self._rulings[position].policy.order):
            left = undecided
            for position in own:
                action = self._rulings[position].rule.action
                ports = sets.intersection(self._numbers[position], left)
                found[action] = sets.union(found[action], ports)
                left = sets.difference(left, ports)
        return found


def _by_naming(rulings: Sequence[_Ruling], everyone: Mask) -> Iterator[tuple[tuple[int, ...], Mask]]:
    """The workloads in groups that the same rules name."""
    groups: dict[tuple[int, ...], Mask] = {(): everyone}
    shared = _shared_priorities(rulings)
    for position, ruling in enumerate(rulings):
        if not ruling.named:
            continue
        # A rule for every port leaves nothing to decide, where no other policy has its priority.
        is_last = not ruling.rule.ports and ruling.policy.priority not in shared
        for naming, mask in list(groups.items()):
            common = mask & ruling.named
            if not common:
                continue
            if common == mask:
                del groups[naming]
            else:
                groups[naming] = mask ^ common
            if is_last:
                yield (*naming, position), common
            else:
                groups[*naming, position] = common
    yield from groups.items()


def _shared_priorities(rulings: Sequence[_Ruling]) -> set[int]:
    """The priorities that several of the policies have."""
    policies = {ruling.policy for ruling in rulings}
    counted: dict[int, int] = {}
    for policy in policies:
        counted[policy.priority] = counted.get(policy.priority, 0) + 1
    return {priority for priority, count in counted.items() if count > 1}


def _covering(named: Sequence[AddressSet]) -> list[tuple[int, int, tuple[int, ...]]]:
    """The line in stretches at which the same of these sets have all addresses, by their positions."""
    turns: dict[int, list[int]] = {0: [], LAST + 1: []}
    for position, addresses in enumerate(named):
        for low, high in bounds(addresses):
            turns.setdefault(low, []).append(position)
            turns.setdefault(high + 1, []).append(position)
    found: list[tuple[int, int, tuple[int, ...]]] = []
    active: set[int] = set()
    for start, end in pairwise(sorted(turns)):
        for position in turns[start]:
            active ^= {position}
        found.append((start, end - 1, tuple(sorted(active))))
    return found


def layer_of(line: Stretches, everywhere: int, sets: PortSets) -> Layer:
    """A layer of NetworkPolicies: what is open along a line, and what is open everywhere besides."""
    found: list[tuple[int, int, int, int]] = []
    reached = 0
    for low, high, ports in line:
        if low > reached:
            found.append((reached, low - 1, everywhere, NOTHING))
        found.append((low, high, sets.union(ports, everywhere), NOTHING))
        reached = high + 1
    if reached <= LAST:
        found.append((reached, LAST, everywhere, NOTHING))
    return tuple(found)


def open_behind(layer: Layer, sets: PortSets) -> Layer:
    """The layer of the last tier: what it does not deny is open."""
    return tuple((low, high, sets.difference(EVERY_PORT, denied), denied) for low, high, _, denied in layer)


def one_after_the_other(first: Layer, then: Layer, sets: PortSets) -> Layer:
    """The layer of a tier before another one, which is asked for what the first accepts and denies nothing
    of."""
    found: list[tuple[int, int, int, int]] = []
    index = 0
    for start, high, accepted, denied in first:
        low = start
        left = sets.difference(sets.difference(EVERY_PORT, accepted), denied)
        while True:
            _, until, open_then, denied_then = then[index]
            end = min(high, until)
            decided = (
                sets.union(accepted, sets.intersection(left, open_then)),
                sets.union(denied, sets.intersection(left, denied_then)),
            )
            if found and found[-1][2:] == decided:
                found[-1] = (found[-1][0], end, *decided)
            else:
                found.append((low, end, *decided))
            low = end + 1
            if until <= high:
                index += 1
            if low > high:
                break
    return tuple(found)


def open_line(layer: Layer) -> Stretches:
    """The open ports along a line: maximal stretches, none where no port is open."""
    found: list[tuple[int, int, int]] = []
    for low, high, ports, _ in layer:
        if ports == NOTHING:
            continue
        if found and found[-1][1] == low - 1 and found[-1][2] == ports:
            found[-1] = (found[-1][0], high, ports)
        else:
            found.append((low, high, ports))
    return tuple(found)


def denied_to_pods(layer: Layer, sets: PortSets) -> int:
    """The ports that a tier denies at some IPv4 address that pods may have."""
    possible = tuple(bounds(POSSIBLE_ADDRESSES[0]))
    found = NOTHING
    for low, high, _, denied in layer:
        if low >= FIRST_IPV6:
            break
        if denied != NOTHING and any(low <= last and first <= high for first, last in possible):
            found = sets.union(found, denied)
    return found
