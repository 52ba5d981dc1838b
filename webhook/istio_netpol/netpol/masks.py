"""Sets of workloads as bit masks: the integer whose bit i is set holds the workload at position i."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_

from istio_netpol.model.labels import Labels, Operator, Requirement, Selector
from istio_netpol.netpol.port_sets import NOTHING, PortSets

Mask = int
Cells = dict[int, Mask]
"""Disjoint sets of workloads by the number of the ports that they share. A workload in no cell has no
port."""


def positions(mask: Mask) -> Iterator[int]:
    """The positions in a mask, ascending."""
    digits = bin(mask)[:1:-1]
    position = digits.find("1")
    while position >= 0:
        yield position
        position = digits.find("1", position + 1)


def union(masks: Iterable[Mask]) -> Mask:
    """The workloads in any of the masks."""
    return reduce(or_, masks, 0)


def overlay(cells: Cells, members: Mask, ports: int, sets: PortSets) -> Cells:
    """The cells after `members` got `ports` in addition to what they have."""
    if ports == NOTHING:
        return cells
    result: Cells = {}
    fresh = members
    for present, there in cells.items():
        common = there & members
        fresh ^= common
        if there != common:
            result[present] = result.get(present, 0) | (there ^ common)
        if common:
            both = sets.union(present, ports)
            result[both] = result.get(both, 0) | common
    if fresh:
        result[ports] = result.get(ports, 0) | fresh
    return result


class LabelMasks:
    """Answers selectors with masks, from one mask a label: no selector ever looks at single workloads."""

    def __init__(self, labelled: Iterable[tuple[Mask, Labels]], everyone: Mask) -> None:
        """`labelled` pairs workloads with labels that all of them have; only `everyone` may be selected."""
        self._everyone = everyone
        self._pairs: dict[tuple[str, str], Mask] = {}
        self._keys: dict[str, Mask] = {}
        self._selected: dict[Selector, Mask] = {}
        for mask, labels in labelled:
            for key, value in labels.items():
                self._pairs[key, value] = self._pairs.get((key, value), 0) | mask
                self._keys[key] = self._keys.get(key, 0) | mask

    def select(self, selector: Selector) -> Mask:
        """The workloads that a selector matches."""
        found = self._selected.get(selector)
        if found is None:
            found = self._selected[selector] = self._select(selector)
        return found

    def _select(self, selector: Selector) -> Mask:
        mask = self._everyone
        for pair in selector.match_labels:
            mask &= self._pairs.get(pair, 0)
        for requirement in selector.match_expressions:
            mask &= self._meeting(requirement)
        return mask

    def _meeting(self, requirement: Requirement) -> Mask:
        if requirement.operator in (Operator.IN, Operator.NOT_IN):
            found = union(self._pairs.get((requirement.key, value), 0) for value in requirement.values)
        else:
            found = self._keys.get(requirement.key, 0)
        # NotIn and DoesNotExist hold for labels that lack the key, so they are what their opposites leave.
        is_negated = requirement.operator in (Operator.NOT_IN, Operator.DOES_NOT_EXIST)
        return self._everyone & ~found if is_negated else found
