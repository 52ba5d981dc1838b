"""The classes of pods of one namespace, found by selector and by name.

A change tells only the classes anew that it touches, and the index shares all others with the one before: an
event must not cost more because its namespace is large.

A class that says what it said before is the same object as before: so whoever holds one can tell by identity
whether it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload
from istio_netpol.state.contents import told_by
from istio_netpol.state.persistent_map import EMPTY, PersistentMap, within
from istio_netpol.state.pod_classes import INSTANCE_LABELS, LONGEST_OWNERSHIP, Key, Members, root_of
from istio_netpol.state.pod_family import PodFamily, Rooted
from istio_netpol.state.pod_group import TEMPLATE, Likeness
from istio_netpol.state.postings import Postings

Classes = tuple[Workload, ...]

Family = PodFamily | Workload
"""The members that share a root. One that is its own root and has nobody else is its only class itself, as
most bare pods and templates are."""

ClassKey = tuple[Key, Likeness]
"""What tells a class from the others of its namespace: its family, and what its pods have in common."""

Label = tuple[str, str | None]
"""A label with its value, or with any."""

Owned = PersistentMap[Key, PersistentMap[Key, None]]
"""Members by the owner that they name."""


_MOST_COMPARED = 4
"""How many that carry the same labels are compared in search of one that is alike."""

_UNLABELLED: frozenset[Label] = frozenset()


class ClassIndex:
    """The classes of the pods of a namespace's members. Never changes; `after` makes another."""

    def __init__(
        self,
        distinguishing: frozenset[str],
        members: Members,
        families: PersistentMap[Key, Family],
        classes: PersistentMap[ClassKey, Workload],
    ) -> None:
        self.distinguishing = distinguishing
        self.classes = classes
        self._members = members
        self._families = families

    @classmethod
    def of(
        cls, members: Members, distinguishing: frozenset[str], earlier: ClassIndex | None = None
    ) -> ClassIndex:
        """The classes of these members; `earlier` is an index of the same namespace before."""
        known = dict(members.items())
        rooted: dict[Key, dict[Key, ObjectRef]] = {}
        for key, member in known.items():
            root = root_of(member, known)
            rooted.setdefault(_key(root), {})[key] = root
        before = earlier._families if earlier is not None else {}
        ignored = INSTANCE_LABELS - distinguishing
        families = {
            key: _family_of(key, found, known, ignored, before.get(key)) for key, found in rooted.items()
        }
        classes: dict[ClassKey, Workload] = {}
        for key, family in families.items():
            if isinstance(family, PodFamily):
                classes.update(((key, likeness), pods) for likeness, pods in family.by_likeness.items())
            else:
                classes[key, TEMPLATE] = family
        return cls(distinguishing, members, PersistentMap(families), PersistentMap(classes))

    def after(self, members: Members, touched: Iterable[Key]) -> ClassIndex:
        """The index after members came, went or changed; `members` are those that there are now."""
        moved = self._moved(members, touched)
        families = self._families_after(members, moved)
        left = {key: family for key, family in families.items() if family is not None}
        gone, come = self._changed_classes(families)
        dropped = [key for key in gone if key not in come]
        made = ClassIndex(
            self.distinguishing,
            members,
            self._families.after(left, [key for key in families if key not in left]),
            self.classes.after(come, dropped) if come or dropped else self.classes,
        )
        made._owned = self._owned_after(members, moved)
        made._labelled = self._labelled_after(gone, come)
        return made

    def index(self) -> None:
        """Makes what changes will ask for now, instead of at the first of them."""
        _ = self._owned, self._labelled

    @cached_property
    def _owned(self) -> Owned:
        """The members that name an owner, which only changes ask for."""
        found: dict[Key, dict[Key, None]] = {}
        for key, member in self._members.items():
            if (owner := _owner_of(member)) is not None:
                found.setdefault(owner, {})[key] = None
        return PersistentMap((owner, PersistentMap(owned)) for owner, owned in found.items())

    @cached_property
    def _labelled(self) -> Postings[Label, ClassKey]:
        """The classes that carry a label."""
        return Postings[Label, ClassKey]().moved(
            (key, _UNLABELLED, _labels_of(pods)) for key, pods in self.classes.items()
        )

    @cached_property
    def workloads(self) -> Classes:
        """All classes, sorted by kind and name."""
        return self._in_order(self.classes.items())

    def select(self, selector: Selector) -> Classes:
        """The classes that a pod selector matches, sorted by kind and name."""
        if selector.is_everything:
            return self.workloads
        wanted: list[Label] = [*selector.match_labels]
        wanted += [(wish.key, None) for wish in selector.match_expressions if wish.needs_key]
        if not wanted:
            return tuple(pods for pods in self.workloads if selector.matches(pods.labels))
        groups = min((self._labelled.groups_at(label) for label in wanted), key=len)
        keys = (key for group in groups if group.issuperset(wanted) for key in self._labelled.within(group))
        found = ((key, self.classes[key]) for key in keys)
        return self._in_order(pair for pair in found if selector.matches(pair[1].labels))

    def named(self, kind: str, name: str) -> Classes:
        """The classes that carry the name of an object: the first of its own family, and one of another's;
        in the order of `workloads`."""
        first, own = self._first((kind, name)), self.with_member((kind, name))
        found: list[tuple[ClassKey, Workload]] = []
        if first is not None:
            found.append((((kind, name), TEMPLATE), first))
        if own is not None and own is not first and _key(own.ref) == (kind, name):
            root = _key(root_of(self._members[kind, name], self._members))
            found.append(((root, TEMPLATE), own))
        return self._in_order(found)

    def with_member(self, key: Key) -> Workload | None:
        """The class that a member is of; of a controller's, that of its template, or where running pods carry
        what it says theirs."""
        member = self._members.get(key)
        if member is None:
            return None
        family: Family | None = self._families.get(_key(root_of(member, self._members)))
        return family.class_of(member) or family.first if isinstance(family, PodFamily) else family

    def family(self, root: Key) -> Classes:
        """The classes of one family, by its root's kind and name; sorted by their own."""
        classes = _by_likeness(self._families.get(root))
        return self._in_order(((root, likeness), pods) for likeness, pods in classes.items())

    def is_alone(self, pods: Workload) -> bool:
        """Whether a member is its own root and class, and has nobody else."""
        return self._families.get(_key(pods.ref)) is pods

    def alike(self, pods: Workload) -> Iterator[Workload]:
        """Others that are alone and say what these pods say under another name: a few at most."""
        for (key, _), other in islice(self._alike_labelled(pods), _MOST_COMPARED):
            if other is not pods and self._families.get(key) is other and _said(other) == _said(pods):
                yield other

    def _alike_labelled(self, pods: Workload) -> Iterator[tuple[ClassKey, Workload]]:
        return ((key, self.classes[key]) for key in self._labelled.within(_labels_of(pods)))

    def families_of(self, keys: Iterable[Key]) -> set[Key]:
        """The roots of these members and of all that they own, by kind and name."""
        members = self._members
        return {_key(root_of(members[key], members)) for key in self._with_owned(keys) if key in members}

    def _in_order(self, found: Iterable[tuple[ClassKey, Workload]]) -> Classes:
        """Classes by kind and name. Two of one name are told apart by their root, and where that is a pod
        which is not like those that it owns, by which is the first of its family."""

        def order(entry: tuple[ClassKey, Workload]) -> tuple[Key, Key, bool]:
            (root, _), pods = entry
            return (_key(pods.ref), root, root[0] == "Pod" and pods is not self._first(root))

        return tuple(pods for _, pods in sorted(found, key=order))

    def _first(self, root: Key) -> Workload | None:
        """The class that carries the name of a root."""
        family: Family | None = self._families.get(root)
        return family.first if isinstance(family, PodFamily) else family

    def _moved(self, members: Members, touched: Iterable[Key]) -> set[Key]:
        """The members whose family may be another one: those that changed, and all that are led to their root
        by one that leads elsewhere now, which no pod does."""
        touched = set(touched)
        leading = [key for key in touched if key[0] != "Pod"]
        leading = [key for key in leading if _leads_elsewhere(self._members.get(key), members.get(key))]
        return touched | self._with_owned(leading)

    def _with_owned(self, keys: Iterable[Key]) -> set[Key]:
        """These members and all that they own."""
        found = set(keys)
        owners = set(found)
        for _ in range(LONGEST_OWNERSHIP):
            owners = {key for owner in owners for key in self._owned.get(owner, ())} - found
            if not owners:
                break
            found |= owners
        return found

    def _families_after(self, members: Members, moved: Iterable[Key]) -> dict[Key, Family | None]:
        """The families that members leave or join, or that a change of one concerns; None where one is no
        more."""
        gone: dict[Key, list[Rooted]] = {}
        come: dict[Key, list[Rooted]] = {}
        controllers: set[Key] = set()
        for key in moved:
            for part, known in ((gone, self._members), (come, members)):
                if (member := known.get(key)) is not None:
                    root = root_of(member, known)
                    part.setdefault(_key(root), []).append(Rooted(member, root))
            # Pods may be called after one that is itself led elsewhere.
            if key[0] != "Pod" and key in self._families:
                controllers.add(key)
        found: dict[Key, Family | None] = {}
        for key in {*gone, *come, *controllers}:
            family, went, came = self._families.get(key), gone.get(key, ()), come.get(key, ())
            after = None
            if isinstance(family, PodFamily) and key not in controllers:
                is_alone = family.size + len(came) - len(went) <= 1
                after = family.after(went, came, members) if not is_alone else None
            found[key] = after or self._family_anew(key, went, came, members)
        return found

    def _family_anew(
        self, key: Key, gone: Iterable[Rooted], come: Iterable[Rooted], members: Members
    ) -> Family | None:
        """A family after members left and joined it, made of all that it has now."""
        family = self._families.get(key)
        left = set(_keys_of(family)) - {rooted.key for rooted in gone} if family else set()
        roots = {member: root_of(members[member], members) for member in left}
        roots |= {rooted.key: rooted.root for rooted in come}
        ignored = INSTANCE_LABELS - self.distinguishing
        return _family_of(key, roots, members, ignored, family) if roots else None

    def _changed_classes(
        self, families: Mapping[Key, Family | None]
    ) -> tuple[dict[ClassKey, Workload], dict[ClassKey, Workload]]:
        """The classes that are no more and those that were not yet, after families became these."""
        gone: dict[ClassKey, Workload] = {}
        come: dict[ClassKey, Workload] = {}
        for key, family in families.items():
            before = _by_likeness(self._families.get(key))
            for likeness, now, was in _by_likeness(family).differences(before):
                if was is not None:
                    gone[key, likeness] = was
                if now is not None:
                    come[key, likeness] = now
        return gone, come

    def _labelled_after(
        self, gone: Mapping[ClassKey, Workload], come: Mapping[ClassKey, Workload]
    ) -> Postings[Label, ClassKey]:
        keys = {*gone, *come}
        return self._labelled.moved(
            (key, _labels_of(gone.get(key)), _labels_of(come.get(key))) for key in keys
        )

    def _owned_after(self, members: Members, moved: Iterable[Key]) -> Owned:
        dropped: dict[Key, list[Key]] = {}
        put: dict[Key, dict[Key, None]] = {}
        for key in moved:
            before, now = (_owner_of(known.get(key)) for known in (self._members, members))
            if before != now and before is not None:
                dropped.setdefault(before, []).append(key)
            if before != now and now is not None:
                put.setdefault(now, {})[key] = None
        return within(self._owned, dropped, put) if dropped or put else self._owned


def _family_of(
    key: Key,
    rooted: Mapping[Key, ObjectRef],
    members: Members,
    ignored: frozenset[str],
    earlier: Family | None,
) -> Family:
    """The family of these members, each with its root, made anew."""
    if len(rooted) == 1 and key in rooted and rooted[key] == members[key].ref:
        return members[key]
    before = earlier if isinstance(earlier, PodFamily) else None
    return PodFamily.of(key, rooted, members, ignored, before)


def _by_likeness(family: Family | None) -> PersistentMap[Likeness, Workload]:
    """The classes of a family."""
    if isinstance(family, PodFamily):
        return family.by_likeness
    return PersistentMap({TEMPLATE: family}) if family is not None else EMPTY


def _keys_of(family: Family) -> Iterator[Key]:
    """The members of a family."""
    return family.keys() if isinstance(family, PodFamily) else iter((_key(family.ref),))


def _labels_of(pods: Workload | None) -> frozenset[Label]:
    """The labels under which a class is found."""
    labels = pods.labels if pods is not None else {}
    return frozenset([*labels.items(), *((key, None) for key in labels)])


def _leads_elsewhere(before: Workload | None, now: Workload | None) -> bool:
    """Whether whoever is owned by a member may have another root than before."""
    if before is None or now is None:
        return True
    return (before.owner, before.ref, before.ref.file) != (now.owner, now.ref, now.ref.file)


def _owner_of(member: Workload | None) -> Key | None:
    owner = member.owner if member is not None else None
    return (owner.kind, owner.name) if owner is not None else None


def _said(pods: Workload) -> tuple[Any, ...]:
    """All that pods say but their name."""
    return (*_PLACE(pods.ref), *_FIELDS(pods))


_PLACE, _FIELDS = told_by(ObjectRef, frozenset({"name"})), told_by(Workload, frozenset({"ref"}))


def _key(ref: ObjectRef) -> Key:
    return (ref.kind, ref.name)
