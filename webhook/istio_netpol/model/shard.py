"""One namespace of a snapshot: its objects, its classes of pods, and the indexes by label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.pod_classes import INSTANCE_LABELS, classes_of
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Namespace, Workload, implied_namespace

T = TypeVar("T")
Key = tuple[str, str]
Objects = Mapping[type, Mapping[Key, Any]]


class LabelIndex:
    """Positions of labelled things by (key, value), so that a selector looks at few of them."""

    def __init__(self, labelled: Iterable[Labels]) -> None:
        self._labels = tuple(labelled)
        self._postings: dict[tuple[str, str], list[int]] = {}
        for position, labels in enumerate(self._labels):
            for pair in labels.items():
                self._postings.setdefault(pair, []).append(position)

    def select(self, selector: Selector) -> list[int]:
        """Positions that the selector matches, ascending."""
        candidates: Iterable[int] = range(len(self._labels))
        if selector.match_labels:
            postings = [self._postings.get(pair, []) for pair in selector.match_labels]
            smallest: list[int] = min(postings, key=len)
            candidates = smallest
        return [position for position in candidates if selector.matches(self._labels[position])]


class PolicyIndex:
    """The policies of a namespace by one label pair of their podSelector, so that a pod looks at few of
    them."""

    def __init__(self, policies: Iterable[NetworkPolicy]) -> None:
        self._by_pair: dict[tuple[str, str], list[NetworkPolicy]] = {}
        self._others: list[NetworkPolicy] = []
        for policy in policies:
            pairs = policy.pod_selector.match_labels
            (self._by_pair.setdefault(pairs[0], []) if pairs else self._others).append(policy)

    def select(self, labels: Labels) -> tuple[NetworkPolicy, ...]:
        """The policies whose podSelector matches, sorted by name."""
        found = [policy for policy in self._others if policy.pod_selector.matches(labels)]
        if self._by_pair:
            for pair in labels.items():
                found += [
                    policy for policy in self._by_pair.get(pair, ()) if policy.pod_selector.matches(labels)
                ]
        return tuple(sorted(found, key=lambda policy: policy.name))


class Shard:
    """The objects of one namespace by type, then by kind and name. Never changes."""

    def __init__(self, namespace: Namespace, objects: Objects) -> None:
        self.namespace = namespace
        self._objects = objects
        self._policies_for: dict[Workload, tuple[NetworkPolicy, ...]] = {}
        self._classes: tuple[frozenset[str], tuple[Workload, ...], LabelIndex] | None = None

    @classmethod
    def of(cls, implied: Namespace, members: Iterable[Any]) -> Shard:
        return cls(implied, {}).with_changes(members, ())

    def with_changes(self, put: Iterable[Any], remove: Iterable[Any]) -> Shard:
        """The shard after members were stored or deleted; only the types that change are copied."""
        namespace, changed = self.namespace, {}
        for member, is_put in [(each, False) for each in remove] + [(each, True) for each in put]:
            if isinstance(member, Namespace):
                namespace = member if is_put else implied_namespace(member.name)
                continue
            type_ = type(member)
            if type_ not in changed:
                changed[type_] = dict(self._objects.get(type_, {}))
            key = (member.ref.kind, member.ref.name)
            if is_put:
                changed[type_][key] = member
            else:
                changed[type_].pop(key, None)
        return Shard(namespace, {**self._objects, **changed})

    def find(self, type_: type[T], name: str, kind: str = "") -> T | None:
        members: Mapping[Key, T] = self._objects.get(type_, {})
        return members.get((kind or type_.__name__, name))

    def of_type(self, type_: type[T]) -> tuple[T, ...]:
        members: Mapping[Key, T] = self._objects.get(type_, {})
        return tuple(members[key] for key in sorted(members))

    @cached_property
    def policies(self) -> tuple[NetworkPolicy, ...]:
        """The namespace's policies, sorted by name."""
        return self.of_type(NetworkPolicy)

    @property
    def object_count(self) -> int:
        return self.namespace.declared + sum(len(members) for members in self._objects.values())

    @cached_property
    def distinguishing(self) -> frozenset[str]:
        """The labels of single pods of a controller that a selector of this namespace tells apart, usually
        none."""
        keys: set[str] = set()
        for policy in self.policies:
            keys |= _selector_keys(policy)
        for service in self.of_type(Service):
            keys.update(service.selector or ())
        return frozenset(keys & INSTANCE_LABELS)

    def workloads(self, distinguishing: frozenset[str]) -> tuple[Workload, ...]:
        return self._classified(distinguishing)[1]

    def select(self, selector: Selector, distinguishing: frozenset[str]) -> tuple[Workload, ...]:
        _, workloads, index = self._classified(distinguishing)
        return tuple(workloads[position] for position in index.select(selector))

    def policies_for(self, workload: Workload) -> tuple[NetworkPolicy, ...]:
        """The policies that select the workload's pods; a policy never selects hostNetwork pods."""
        if workload.host_network:
            return ()
        found = self._policies_for.get(workload)
        if found is None:
            found = self._policies_for[workload] = self._policy_index.select(workload.labels)
        return found

    @cached_property
    def _policy_index(self) -> PolicyIndex:
        return PolicyIndex(self.policies)

    def _classified(
        self, distinguishing: frozenset[str]
    ) -> tuple[frozenset[str], tuple[Workload, ...], LabelIndex]:
        known = self._classes
        if known is None or known[0] != distinguishing:
            workloads = classes_of(self.of_type(Workload), distinguishing)
            known = self._classes = (distinguishing, workloads, LabelIndex(each.labels for each in workloads))
        return known


def _selector_keys(policy: NetworkPolicy) -> set[str]:
    selectors = [policy.pod_selector]
    for rule in policy.ingress + policy.egress:
        selectors += [peer.pod_selector for peer in rule.peers if peer.pod_selector]
    return {key for selector in selectors for key, _ in selector.match_labels} | {
        requirement.key for selector in selectors for requirement in selector.match_expressions
    }
