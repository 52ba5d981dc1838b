"""The policies of the Admin and Baseline tiers by what they select."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from istio_netpol.model.connections import Protocol
from istio_netpol.model.policies import Direction
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.workloads import Namespace, Workload

Tiers = tuple[TierPolicy, ...]


class TierIndex:
    """The policies of the tiers of one snapshot, `policies` in the order in which they are asked. What was
    found for pods is kept: each is asked about again for every flow that it has."""

    def __init__(self, policies: Iterable[TierPolicy]) -> None:
        self.policies: Tiers = tuple(sorted(policies, key=lambda policy: policy.order))
        self._by_pair: dict[tuple[str, str] | None, list[TierPolicy]] = {}
        """By one pair of the labels that a namespace must have; None: by none."""
        for policy in self.policies:
            pair = next(iter(policy.namespaces.match_labels), None)
            self._by_pair.setdefault(pair, []).append(policy)
        self._in: dict[str, Tiers] = {}
        self._on: dict[Workload, Tiers] = {}
        self._concerning: dict[tuple[Direction, Protocol, int], frozenset[TierPolicy]] = {}

    def on(self, pods: Workload, namespace: Namespace) -> Tiers:
        """The policies whose subject these pods of the namespace are."""
        found = self._on.get(pods)
        if found is None:
            here = self._selecting(namespace)
            found = self._on[pods] = tuple(policy for policy in here if policy.pods.matches(pods.labels))
        return found

    def concerning(
        self, tiers: Sequence[TierPolicy], direction: Direction, protocol: Protocol, port: int
    ) -> Tiers:
        """Those of some policies of which some rule may match connections to a port."""
        asked = (direction, protocol, port)
        found = self._concerning.get(asked)
        if found is None:
            found = frozenset(policy for policy in self.policies if policy.may_concern(*asked))
            self._concerning[asked] = found
        return tuple(policy for policy in tiers if policy in found)

    def _selecting(self, namespace: Namespace) -> Tiers:
        """The policies that select the namespace, and of its pods some or all."""
        found = self._in.get(namespace.name)
        if found is None:
            labels = namespace.labels
            candidates = [
                policy for pair in (None, *labels.items()) for policy in self._by_pair.get(pair, ())
            ]
            selecting = (policy for policy in candidates if policy.namespaces.matches(labels))
            found = tuple(sorted(selecting, key=lambda policy: policy.order))
            self._in[namespace.name] = found
        return found
