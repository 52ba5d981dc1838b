"""One namespace of a snapshot: its objects, its classes of pods, and the indexes by label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from istio_netpol.lazy_dataclass import dataclass
from istio_netpol.model.failures import Undecoded
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.policies import NetworkPolicy, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.tiers import TierPolicy, TierRule
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import Namespace, Workload, implied_namespace
from istio_netpol.state.class_index import ChangedClassIndex, ClassIndex
from istio_netpol.state.contents import is_unchanged, say_the_same
from istio_netpol.state.label_index import PolicyIndex
from istio_netpol.state.pod_classes import INSTANCE_LABELS, Key, root_of

T = TypeVar("T")
Objects = Mapping[type, Mapping[Key, Any]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """The indexes of an earlier state, and the names of what changed since; `latest` has the classes of pods
    as they were last told."""

    classes: ClassIndex | None = None
    workloads: frozenset[Key] = frozenset()
    latest: ClassIndex | ChangedClassIndex | None = None
    policies: PolicyIndex | None = None
    policy_names: frozenset[str] = frozenset()


_NOTHING_KEPT = _Kept()

_OF_SEVERAL_GROUPS = (Undecoded, UnreadPolicy)
"""Types that stand for kinds of several API groups, which may have the same kind and name."""

_MOST_CHANGES = 64
"""Changed members with which an earlier index is still used; one of its own is cheaper then."""


class NamespaceObjects:
    """The objects of one namespace by type, then by kind and name (see `key_of`). Never changes."""

    def __init__(
        self,
        namespace: Namespace,
        objects: Objects,
        instance_keys: Mapping[tuple[type, Key], frozenset[str]] | None = None,
        kept: _Kept = _NOTHING_KEPT,
    ) -> None:
        self.namespace = namespace
        self._objects = objects
        self._instance_keys = instance_keys or {}
        self._kept = kept
        self._policies_for: dict[Workload, tuple[NetworkPolicy, ...]] = {}
        self._classes: ClassIndex | ChangedClassIndex | None = None
        self._policy_index: PolicyIndex | None = None

    @classmethod
    def of(cls, implied: Namespace, members: Iterable[Any]) -> NamespaceObjects:
        return cls(implied, {}).with_changes(members, ())

    def with_changes(self, put: Iterable[Any], remove: Iterable[Any]) -> NamespaceObjects:
        """The namespace after members were stored or deleted; only the types that change are copied. A member
        that is stored again as it was stays the object that it is."""
        namespace, changed = self.namespace, dict[type, dict[Key, Any]]()
        instance_keys = dict(self._instance_keys)
        touched: dict[type, set[Key]] = {}
        for member, is_put in [(each, False) for each in remove] + [(each, True) for each in put]:
            if isinstance(member, Namespace):
                after = member if is_put else implied_namespace(member.name)
                namespace = namespace if is_unchanged(namespace, after) else after
                continue
            type_, key = type(member), key_of(type(member), member.ref)
            before = changed.get(type_, self._objects.get(type_, {})).get(key)
            if is_unchanged(before, member) if is_put and before else not is_put and not before:
                continue
            if type_ not in changed:
                changed[type_] = dict(self._objects.get(type_, {}))
            touched.setdefault(type_, set()).add(key)
            instance_keys.pop((type_, key), None)
            if is_put:
                changed[type_][key] = member
                if keys := _instance_keys(member):
                    instance_keys[type_, key] = keys
            else:
                changed[type_].pop(key, None)
        if not touched and namespace is self.namespace:
            return self
        kept = self._kept_after(touched)
        return NamespaceObjects(namespace, {**self._objects, **changed}, instance_keys, kept)

    def _kept_after(self, touched: Mapping[type, set[Key]]) -> _Kept:
        """What later states may go by: our own indexes, or those that we went by ourselves."""
        kept = self._kept
        if isinstance(self._classes, ClassIndex):
            kept = replace(kept, classes=self._classes, workloads=frozenset())
        if self._policy_index is not None:
            kept = replace(kept, policies=self._policy_index, policy_names=frozenset())
        workloads = kept.workloads | touched.get(Workload, set())
        names = kept.policy_names | {name for _, name in touched.get(NetworkPolicy, ())}
        return _Kept(
            *((kept.classes, workloads) if len(workloads) <= _MOST_CHANGES else (None, frozenset())),
            self._classes or kept.latest,
            *((kept.policies, names) if len(names) <= _MOST_CHANGES else (None, frozenset())),
        )

    def find(self, type_: type[T], name: str, kind: str = "") -> T | None:
        members: Mapping[Key, T] = self._objects.get(type_, {})
        return members.get((kind or type_.__name__, name))

    def at(self, type_: type[T], ref: ObjectRef) -> T | None:
        """The object of a type that a reference names."""
        members: Mapping[Key, T] = self._objects.get(type_, {})
        return members.get(key_of(type_, ref))

    def names(self, ref: ObjectRef) -> bool:
        """Whether the namespace has an object of this reference."""
        return any(key_of(type_, ref) in members for type_, members in self._objects.items())

    def holds(self, member: Any) -> bool:
        """Whether the namespace has this member, and as it is here."""
        if isinstance(member, Namespace):
            return say_the_same(member, self.namespace)
        return say_the_same(member, self.at(type(member), member.ref))

    def of_type(self, type_: type[T]) -> tuple[T, ...]:
        members: Mapping[Key, T] = self._objects.get(type_, {})
        return tuple(members[key] for key in sorted(members))

    def members(self) -> Iterator[Any]:
        """All that was read of the namespace, in no order."""
        if self.namespace.declared:
            yield self.namespace
        for members in self._objects.values():
            yield from members.values()

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
        return frozenset(key for keys in self._instance_keys.values() for key in keys)

    def workloads(self, distinguishing: frozenset[str]) -> tuple[Workload, ...]:
        return self._classified(distinguishing).workloads

    def select(self, selector: Selector, distinguishing: frozenset[str]) -> tuple[Workload, ...]:
        return self._classified(distinguishing).select(selector)

    def workloads_named(self, kind: str, name: str, distinguishing: frozenset[str]) -> tuple[Workload, ...]:
        return self._classified(distinguishing).named(kind, name)

    def family(self, root: Key, distinguishing: frozenset[str]) -> tuple[Workload, ...]:
        """The classes of the pods that share a root, by its kind and name."""
        return self._classified(distinguishing).family(root)

    def families_of(self, keys: Iterable[Key], distinguishing: frozenset[str]) -> set[Key]:
        """The roots of these members, and of all that they own, by kind and name."""
        return self._classified(distinguishing).families_of(keys)

    def root(self, workload: Workload) -> ObjectRef:
        """The object that a person would edit to change these pods."""
        return root_of(workload, self._objects.get(Workload, {}))

    def policies_for(self, workload: Workload) -> tuple[NetworkPolicy, ...]:
        """The policies that select the workload's pods, sorted by name; a policy never selects hostNetwork
        pods."""
        if workload.host_network:
            return ()
        found = self._policies_for.get(workload)
        if found is None:
            found = self._policies_for[workload] = tuple(
                sorted(self._selecting(workload.labels), key=lambda policy: policy.name)
            )
        return found

    def index(self, distinguishing: frozenset[str]) -> None:
        """Makes the indexes now that later states will go by."""
        self._classified(distinguishing)
        self._own_policy_index()

    def _own_policy_index(self) -> PolicyIndex:
        if self._policy_index is None:
            self._policy_index = PolicyIndex(self.policies)
        return self._policy_index

    def _selecting(self, labels: Labels) -> list[NetworkPolicy]:
        kept = self._kept
        if self._policy_index is not None or kept.policies is None:
            return self._own_policy_index().select(labels)
        unchanged = [each for each in kept.policies.select(labels) if each.name not in kept.policy_names]
        present = (self.find(NetworkPolicy, name) for name in kept.policy_names)
        return unchanged + [each for each in present if each and each.pod_selector.matches(labels)]

    def _classified(self, distinguishing: frozenset[str]) -> ClassIndex | ChangedClassIndex:
        known = self._classes
        if known is None or known.distinguishing != distinguishing:
            kept, members = self._kept, self._objects.get(Workload, {})
            before = kept.classes
            earlier = known or kept.latest
            if before is None or before.distinguishing != distinguishing:
                known = ClassIndex(members, distinguishing, earlier)
            elif kept.workloads:
                known = ChangedClassIndex(before, members, kept.workloads, earlier)
            else:
                known = before
            self._classes = known
        return known


def key_of(type_: type, ref: ObjectRef) -> Key:
    """What tells an object from others of its type: its kind and name, and its API group where the type
    stands for kinds of several groups."""
    return (in_group(ref.kind, ref.group) if type_ in _OF_SEVERAL_GROUPS else ref.kind, ref.name)


def in_group(kind: str, group: str) -> str:
    """The kind by which `find` knows objects of types that stand for kinds of several groups."""
    return f"{kind}.{group}"


def _instance_keys(member: Any) -> frozenset[str]:
    """The labels of single pods of a controller that a policy or Service selects by."""
    if isinstance(member, NetworkPolicy):
        return INSTANCE_LABELS & _keys_of(member.pod_selector, member.ingress + member.egress)
    if isinstance(member, TierPolicy):
        return INSTANCE_LABELS & _keys_of(member.pods, member.ingress + member.egress)
    return INSTANCE_LABELS.intersection(member.selector or ()) if isinstance(member, Service) else frozenset()


def _keys_of(subject: Selector, rules: Iterable[PolicyRule | TierRule]) -> set[str]:
    """The labels of pods by which a policy selects."""
    selectors = [subject]
    for rule in rules:
        selectors += [peer.pod_selector for peer in rule.peers if peer.pod_selector]
    return {key for selector in selectors for key, _ in selector.match_labels} | {
        requirement.key for selector in selectors for requirement in selector.match_expressions
    }
