"""The policies of a namespace by label, so that pods are compared with few of them."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.labels import Labels
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.persistent_map import PersistentMap, within

SelectedLabel = tuple[str, str] | None
"""One label that a policy's pods must have; None where none is named with its value."""

NO_POLICIES: PersistentMap[str, NetworkPolicy] = PersistentMap()


class PolicyIndex:
    """The policies of a namespace by one label pair of their podSelector, then by name. Never changes;
    `after` makes another."""

    def __init__(
        self, by_pair: PersistentMap[SelectedLabel, PersistentMap[str, NetworkPolicy]] | None = None
    ) -> None:
        self._by_pair = (
            PersistentMap[SelectedLabel, PersistentMap[str, NetworkPolicy]]() if by_pair is None else by_pair
        )

    def after(self, gone: Iterable[NetworkPolicy], come: Iterable[NetworkPolicy]) -> PolicyIndex:
        """The index after policies went, and after that others came."""
        dropped: dict[SelectedLabel, list[str]] = {}
        put: dict[SelectedLabel, dict[str, NetworkPolicy]] = {}
        for policy in gone:
            dropped.setdefault(_pair_of(policy), []).append(policy.name)
        for policy in come:
            put.setdefault(_pair_of(policy), {})[policy.name] = policy
        return PolicyIndex(within(self._by_pair, dropped, put))

    def select(self, labels: Labels) -> list[NetworkPolicy]:
        """The policies whose podSelector matches, in no order."""
        return [
            policy
            for pair in (None, *labels.items())
            for policy in self._by_pair.get(pair, NO_POLICIES).values()
            if policy.pod_selector.matches(labels)
        ]


def _pair_of(policy: NetworkPolicy) -> SelectedLabel:
    return next(iter(policy.pod_selector.match_labels), None)
