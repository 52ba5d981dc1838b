"""Indexes by label, so that a selector looks at few objects and an object at few selectors."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.policies import NetworkPolicy


class LabelIndex:
    """Positions of labelled things by (key, value), and by key."""

    def __init__(self, labelled: Iterable[Labels]) -> None:
        self._labels = tuple(labelled)
        self._postings: dict[tuple[str, str], list[int]] = {}
        self._bearers: dict[str, list[int]] = {}
        for position, labels in enumerate(self._labels):
            for pair in labels.items():
                self._postings.setdefault(pair, []).append(position)
                self._bearers.setdefault(pair[0], []).append(position)

    def select(self, selector: Selector) -> list[int]:
        """Positions that the selector matches, ascending."""
        postings = [self._postings.get(pair, []) for pair in selector.match_labels]
        postings += [self._bearers.get(each.key, []) for each in selector.match_expressions if each.needs_key]
        candidates: Iterable[int] = range(len(self._labels))
        if postings:
            smallest: list[int] = min(postings, key=len)
            candidates = smallest
        return [position for position in candidates if selector.matches(self._labels[position])]


class PolicyIndex:
    """The policies of a namespace by one label pair of their podSelector."""

    def __init__(self, policies: Iterable[NetworkPolicy]) -> None:
        self._by_pair: dict[tuple[str, str], list[NetworkPolicy]] = {}
        self._others: list[NetworkPolicy] = []
        for policy in policies:
            pairs = policy.pod_selector.match_labels
            (self._by_pair.setdefault(pairs[0], []) if pairs else self._others).append(policy)

    def select(self, labels: Labels) -> list[NetworkPolicy]:
        """The policies whose podSelector matches, in no order."""
        found = [policy for policy in self._others if policy.pod_selector.matches(labels)]
        if self._by_pair:
            for pair in labels.items():
                found += [
                    policy for policy in self._by_pair.get(pair, ()) if policy.pod_selector.matches(labels)
                ]
        return found
