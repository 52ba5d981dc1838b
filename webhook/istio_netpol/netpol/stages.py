"""Evaluates the rules of one stage, a tier or NetworkPolicies, for all peers at once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.tiers import Action
from istio_netpol.netpol.address_line import LAST, bounds
from istio_netpol.netpol.masks import Mask
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING, PortSets

Covering = int
"""The rules that name an address: bit i stands for the rule at position i."""

_STRICTEST_FIRST = (Action.DENY, Action.PASS, Action.ACCEPT)


class Ruling(Struct, frozen=True, eq=False):
    """A rule with the number of its ports, the peers that it names for what they are, and the addresses that
    it names for pods, and for all who are not in a pod's network: Nodes are at theirs."""

    action: Action
    ports: int
    named: Mask
    networks: AddressSet
    addresses: AddressSet


Alike = Sequence[Sequence[Ruling]]
"""The rules of policies that share a priority, by policy, in their order."""


class Stage:
    """Rules in the order in which they are asked. The ports fall into `parts` that no rule divides."""

    def __init__(self, priorities: Sequence[Alike], everyone: Mask, sets: PortSets) -> None:
        self.rulings = [ruling for alike in priorities for rules in alike for ruling in rules]
        numbers = {ruling.ports for ruling in self.rulings}
        self.parts = _undivided(numbers, sets)
        self._everyone = everyone
        self._concerning = [
            _Concerning(
                priorities, {number for number in numbers if sets.intersection(part, number) != NOTHING}
            )
            for part in self.parts
        ]
        self._known: dict[tuple[int, Covering], tuple[Mask, Mask]] = {}

    def decide(self, index: int, covering: Covering) -> tuple[Mask, Mask]:
        """The peers to whom a part of the ports is accepted and denied, were all of them where these rules
        name the address. The first rule that matches counts; what it passes is left to the next stage."""
        concerning = self._concerning[index]
        key = (index, covering & concerning.rules)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = concerning.decide(covering, self._everyone)
        return found


_StageRule = tuple[Covering, Action, Mask]
"""The bit of a rule, its action, and whom it names for what they are."""


class _Concerning:
    """The rules of a stage that concern a part of the ports."""

    def __init__(self, priorities: Sequence[Alike], numbers: Container[int]) -> None:
        self.rules: Covering = 0
        self._priorities: list[list[list[_StageRule]]] = []
        bit = 1
        for alike in priorities:
            policies: list[list[_StageRule]] = []
            for rules in alike:
                own: list[_StageRule] = []
                for ruling in rules:
                    if ruling.ports in numbers:
                        own.append((bit, ruling.action, ruling.named))
                        self.rules |= bit
                    bit <<= 1
                if own:
                    policies.append(own)
            if policies:
                self._priorities.append(policies)

    def decide(self, covering: Covering, everyone: Mask) -> tuple[Mask, Mask]:
        accepted = denied = 0
        left = everyone
        for policies in self._priorities:
            is_alone = len(policies) == 1
            taking = (
                _matched(policies[0], covering, left) if is_alone else _strictest(policies, covering, left)
            )
            for action, taken in taking:
                left ^= taken
                if action is Action.DENY:
                    denied |= taken
                elif action is Action.ACCEPT:
                    accepted |= taken
            if not left:
                break
        return accepted, denied


def _matched(rules: Sequence[_StageRule], covering: Covering, left: Mask) -> Iterator[tuple[Action, Mask]]:
    """Whom each rule of one policy takes of those who are left."""
    for bit, action, named in rules:
        matched = left if covering & bit else left & named
        if matched:
            left ^= matched
            yield action, matched


def _strictest(
    policies: Sequence[Sequence[_StageRule]], covering: Covering, left: Mask
) -> Iterator[tuple[Action, Mask]]:
    """The same where policies share a priority. The one that lets least pass counts; see `tiers.decide`."""
    found = dict.fromkeys(Action, 0)
    for rules in policies:
        for action, matched in _matched(rules, covering, left):
            found[action] |= matched
    for action in _STRICTEST_FIRST:
        taken = found[action] & left
        left ^= taken
        yield action, taken


def _undivided(numbers: Iterable[int], sets: PortSets) -> list[int]:
    """All ports in parts that are within each of these sets, or outside of it."""
    parts = [EVERY_PORT]
    for number in sorted(numbers):
        halves = ((sets.intersection(part, number), sets.difference(part, number)) for part in parts)
        parts = [half for pair in halves for half in pair if half != NOTHING]
    return parts


def coverings(named: Sequence[AddressSet]) -> Iterator[tuple[int, int, Covering]]:
    """The whole line in stretches at which the same of these sets have all addresses, by their positions."""
    turns: dict[int, Covering] = {0: 0, LAST + 1: 0}
    for position, addresses in enumerate(named):
        for low, high in bounds(addresses):
            turns[low] = turns.get(low, 0) ^ 1 << position
            turns[high + 1] = turns.get(high + 1, 0) ^ 1 << position
    active: Covering = 0
    for start, end in pairwise(sorted(turns)):
        active ^= turns[start]
        yield start, end - 1, active
