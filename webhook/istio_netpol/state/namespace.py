"""One namespace of a snapshot: its objects, its classes of pods, and the indexes by label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.failures import Undecoded
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.policies import NetworkPolicy, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.tiers import TierPolicy, TierRule
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import Namespace, Workload, implied_namespace
from istio_netpol.state.class_index import ClassIndex
from istio_netpol.state.contents import is_unchanged, say_the_same
from istio_netpol.state.persistent_map import EMPTY, PersistentMap
from istio_netpol.state.pod_classes import INSTANCE_LABELS, Key, root_of
from istio_netpol.state.policy_index import PolicyIndex
from istio_netpol.state.tally import NOTHING_COUNTED, Tally

T = TypeVar("T")
Objects = Mapping[type, PersistentMap[Key, Any]]


_OF_SEVERAL_GROUPS = (Undecoded, UnreadPolicy)
"""Types that stand for kinds of several API groups, which may have the same kind and name."""

_MOST_TOUCHED = 64
"""How many members of any namespace may have changed since its classes were last asked for so that these are
still told from those before."""

_TOUCHED_PART = 16
"""Of a large namespace, one in so many members."""


class NamespaceObjects:
    """The objects of one namespace by type, then by kind and name (see `key_of`). Never changes.

    Its indexes are made when they are first asked for, from those of the namespace before and from what was
    touched since: never from everything again. Of its classes it keeps those that the followed cluster tells
    apart, and those that were asked for last: requests may ask for as many others as there are labels.
    """

    def __init__(
        self,
        namespace: Namespace,
        objects: Objects,
        instance_keys: Tally[str] = NOTHING_COUNTED,
        classes: tuple[ClassIndex, frozenset[Key]] | None = None,
        policies: PolicyIndex | None = None,
        followed: frozenset[str] | None = None,
    ) -> None:
        self.namespace = namespace
        self._objects = objects
        self._instance_keys = instance_keys
        self._earlier = classes
        self._followed = followed
        self._classes: dict[frozenset[str], ClassIndex] = {}
        self._policy_index = policies
        self._policies_for: dict[Workload, tuple[NetworkPolicy, ...]] = {}

    @classmethod
    def of(cls, implied: Namespace, members: Iterable[ClusterObject]) -> NamespaceObjects:
        return cls(implied, {}).with_changes(members, ())

    def with_changes(self, put: Iterable[ClusterObject], remove: Iterable[ClusterObject]) -> NamespaceObjects:
        """The namespace after members were deleted, and after that others stored. A member that is stored
        again as it was stays the object that it is."""
        namespace = self.namespace
        after: dict[type, dict[Key, Any | None]] = {}
        for member, is_put in [*((gone, False) for gone in remove), *((stored, True) for stored in put)]:
            if isinstance(member, Namespace):
                now = member if is_put else implied_namespace(member.name)
                namespace = namespace if is_unchanged(namespace, now) else now
                continue
            type_, key = type(member), key_of(type(member), member.ref)
            before = self._members(type_).get(key)
            is_same = is_put and before is not None and is_unchanged(before, member)
            after.setdefault(type_, {})[key] = before if is_same else member if is_put else None
        changed = {
            type_: found for type_, members in after.items() if (found := self._changed(type_, members))
        }
        if not changed and namespace is self.namespace:
            return self
        objects = {type_: self._after(type_, members) for type_, members in changed.items()}
        return NamespaceObjects(
            namespace,
            {**self._objects, **objects},
            self._instance_keys_after(changed),
            self._classes_before(frozenset(changed.get(Workload, ()))),
            self._policies_after(changed.get(NetworkPolicy, {})),
            self._followed,
        )

    def _members(self, type_: type) -> PersistentMap[Key, Any]:
        return self._objects.get(type_, EMPTY)

    def _changed(self, type_: type, members: Mapping[Key, Any | None]) -> dict[Key, Any | None]:
        """Those of some members that are another object than before; None where one is no more."""
        known = self._members(type_)
        return {key: member for key, member in members.items() if known.get(key) is not member}

    def _after(self, type_: type, changed: Mapping[Key, Any | None]) -> PersistentMap[Key, Any]:
        put = {key: member for key, member in changed.items() if member is not None}
        return self._members(type_).after(put, [key for key in changed if key not in put])

    def _instance_keys_after(self, changed: Mapping[type, Mapping[Key, Any | None]]) -> Tally[str]:
        """The labels of single pods by which members select, as often as they do."""
        gone: list[str] = []
        come: list[str] = []
        for type_ in changed.keys() & {NetworkPolicy, TierPolicy, Service}:
            for key, member in changed[type_].items():
                gone += _instance_keys(self._members(type_).get(key))
                come += _instance_keys(member)
        return self._instance_keys.after(gone, come)

    def _classes_before(self, touched: frozenset[Key]) -> tuple[ClassIndex, frozenset[Key]] | None:
        """The index of classes that the next state goes by, and the members that it does not know of. None
        where these became so many that a new index is cheaper."""
        known = dict(self._classes)
        if self._followed in known:
            return known[self._followed], touched
        if self._earlier is None:
            return (known.popitem()[1], touched) if known else None
        index, unknown = self._earlier
        unknown |= touched
        is_bounded = len(unknown) <= max(_MOST_TOUCHED, len(self._members(Workload)) // _TOUCHED_PART)
        return (index, unknown) if is_bounded else None

    def _policies_after(self, changed: Mapping[Key, NetworkPolicy | None]) -> PolicyIndex | None:
        """The index of policies, if there is one, after some changed."""
        if self._policy_index is None or not changed:
            return self._policy_index
        gone = [policy for key in changed if (policy := self._members(NetworkPolicy).get(key)) is not None]
        return self._policy_index.after(gone, [policy for policy in changed.values() if policy is not None])

    def find(self, type_: type[T], name: str, kind: str = "") -> T | None:
        found: T | None = self._members(type_).get((kind or type_.__name__, name))
        return found

    def at(self, type_: type[T], ref: ObjectRef) -> T | None:
        """The object of a type that a reference names."""
        found: T | None = self._members(type_).get(key_of(type_, ref))
        return found

    def names(self, ref: ObjectRef) -> bool:
        """Whether the namespace has an object of this reference."""
        return any(key_of(type_, ref) in members for type_, members in self._objects.items())

    def holds(self, member: ClusterObject) -> bool:
        """Whether the namespace has this member, and as it is here."""
        if isinstance(member, Namespace):
            return say_the_same(member, self.namespace)
        return say_the_same(member, self.at(type(member), member.ref))

    def of_type(self, type_: type[T]) -> tuple[T, ...]:
        members = self._members(type_)
        return tuple(members[key] for key in sorted(members))

    def members(self) -> Iterator[ClusterObject]:
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
        return frozenset(self._instance_keys.values)

    def root(self, workload: Workload) -> ObjectRef:
        """The object that a person would edit to change these pods."""
        return root_of(workload, self._members(Workload))

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
        self.follow(distinguishing)
        self.classes(distinguishing).index()
        self._own_policy_index()

    def follow(self, distinguishing: frozenset[str]) -> None:
        """Keeps the classes that these labels tell apart, and has later states go by them."""
        self._followed = distinguishing

    def _own_policy_index(self) -> PolicyIndex:
        if self._policy_index is None:
            self._policy_index = PolicyIndex().after((), self._members(NetworkPolicy).values())
        return self._policy_index

    def _selecting(self, labels: Labels) -> list[NetworkPolicy]:
        return self._own_policy_index().select(labels)

    def classes(self, distinguishing: frozenset[str]) -> ClassIndex:
        """The classes of pods that these labels tell apart. Whoever compares classes by identity keeps the
        index: the place may forget it."""
        earlier, found = self._earlier, self._classes.get(distinguishing)
        if found is None:
            # Who comes at the same moment gets the same classes: they are compared by identity.
            found = self._classes.setdefault(distinguishing, self._classified_anew(earlier, distinguishing))
            if self._followed in (distinguishing, None):
                self._earlier = None
            for other in self._classes.keys() - {distinguishing, self._followed}:
                self._classes.pop(other, None)
        return found

    def _classified_anew(
        self, earlier: tuple[ClassIndex, frozenset[Key]] | None, distinguishing: frozenset[str]
    ) -> ClassIndex:
        members = self._members(Workload)
        if earlier is not None and earlier[0].distinguishing == distinguishing:
            before, touched = earlier
            return before.after(members, touched) if touched else before
        known = next(iter(list(self._classes.values())), earlier[0] if earlier is not None else None)
        return ClassIndex.of(members, distinguishing, known)


def key_of(type_: type, ref: ObjectRef) -> Key:
    """What tells an object from others of its type: its kind and name, and its API group where the type
    stands for kinds of several groups."""
    return (in_group(ref.kind, ref.group) if type_ in _OF_SEVERAL_GROUPS else ref.kind, ref.name)


def in_group(kind: str, group: str) -> str:
    """The kind by which `find` knows objects of types that stand for kinds of several groups."""
    return f"{kind}.{group}"


def _instance_keys(member: ClusterObject | None) -> frozenset[str]:
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
