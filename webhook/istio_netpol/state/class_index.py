"""The classes of pods of one namespace, found by selector and by name.

The index is made once. A change makes only the families anew that it touches, and lays them over what the
index says: a review of one pod must not cost more because its namespace is large.

A class that says what it said before is the same object as before, also in an index that is made anew: so
whoever holds one can tell by identity whether it changed.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Container, Iterable
from functools import cached_property

from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload
from istio_netpol.state.contents import is_unchanged
from istio_netpol.state.label_index import LabelIndex
from istio_netpol.state.pod_classes import LONGEST_OWNERSHIP, Key, Members, classes_of_family, root_of

Classes = tuple[Workload, ...]


class ClassIndex:
    """The classes of these members, all of them; `earlier` is an index of the same namespace before."""

    def __init__(
        self,
        members: Members,
        distinguishing: frozenset[str],
        earlier: ClassIndex | ChangedClassIndex | None = None,
    ) -> None:
        self.distinguishing = distinguishing
        self.roots = {key: root_of(members[key], members) for key in sorted(members)}
        self.families: dict[Key, list[Key]] = {}
        self.owned: dict[Key, list[Key]] = {}
        for key, root in self.roots.items():
            self.families.setdefault(_family(root), []).append(key)
            if owner := members[key].owner:
                self.owned.setdefault((owner.kind, owner.name), []).append(key)
        found = [
            (each, family)
            for family, keys in self.families.items()
            for each in _as_before(
                classes_of_family(keys, members, self.roots, distinguishing), family, earlier
            )
        ]
        found.sort(key=lambda pair: _order(pair[0]))
        self.workloads: Classes = tuple(each for each, _ in found)
        self._family_of = [family for _, family in found]
        self._labels = LabelIndex(each.labels for each in self.workloads)
        self._positions: dict[Key, list[int]] = {}
        self._of_family: dict[Key, list[int]] = {}
        for position, each in enumerate(self.workloads):
            self._positions.setdefault(_order(each), []).append(position)
            self._of_family.setdefault(self._family_of[position], []).append(position)

    def select(self, selector: Selector, without: Container[Key] = ()) -> Classes:
        """The classes that a pod selector matches, by kind and name, without those of some families."""
        return self._at(self._labels.select(selector), without)

    def named(self, kind: str, name: str, without: Container[Key] = ()) -> Classes:
        """The classes that carry the name of an object."""
        return self._at(self._positions.get((kind, name), ()), without)

    def family(self, root: Key) -> Classes:
        """The classes of one family, by its root's kind and name."""
        return self._at(self._of_family.get(root, ()), ())

    def owned_by(self, owner: Key) -> Iterable[Key]:
        """The members that name an owner."""
        return self.owned.get(owner, ())

    def families_of(self, keys: Iterable[Key]) -> set[Key]:
        """The roots of these members and of all that they own, by kind and name."""
        return {_family(self.roots[key]) for key in _moved(self, keys) if key in self.roots}

    def every(self, without: Container[Key]) -> Classes:
        """All classes without those of some families."""
        return self._at(range(len(self.workloads)), without)

    def _at(self, positions: Iterable[int], without: Container[Key]) -> Classes:
        return tuple(self.workloads[each] for each in positions if self._family_of[each] not in without)


class ChangedClassIndex:
    """The same answers for a namespace of which some members changed since its index was made; `earlier` is
    one of the namespace in between."""

    def __init__(
        self,
        before: ClassIndex,
        members: Members,
        changed: Iterable[Key],
        earlier: ClassIndex | ChangedClassIndex | None = None,
    ) -> None:
        self.distinguishing = before.distinguishing
        self._before = before
        moved = _moved(before, changed)
        self._anew = {key: root_of(members[key], members) for key in moved if key in members}
        self._owned: dict[Key, list[Key]] = {}
        for key in self._anew:
            if owner := members[key].owner:
                self._owned.setdefault((owner.kind, owner.name), []).append(key)
        roots = ChainMap(self._anew, before.roots)
        joined: dict[Key, list[Key]] = {}
        for key in moved:
            if key in before.roots:
                joined.setdefault(_family(before.roots[key]), [])
            if key in self._anew:
                joined.setdefault(_family(self._anew[key]), []).append(key)
        self._gone = moved - self._anew.keys()
        self._families: dict[Key, Classes] = {}
        for family, keys in joined.items():
            stayed = [key for key in before.families.get(family, ()) if key not in moved]
            found = classes_of_family(sorted(stayed + keys), members, roots, before.distinguishing)
            self._families[family] = _as_before(found, family, earlier or before)

    @cached_property
    def workloads(self) -> Classes:
        return self._with_anew(self._before.every(self._families), lambda each: True)

    def select(self, selector: Selector) -> Classes:
        """The classes that a pod selector matches, sorted by kind and name."""
        before = self._before.select(selector, self._families)
        return self._with_anew(before, lambda each: selector.matches(each.labels))

    def named(self, kind: str, name: str) -> Classes:
        """The classes that carry the name of an object."""
        before = self._before.named(kind, name, self._families)
        return self._with_anew(before, lambda each: _order(each) == (kind, name))

    def family(self, root: Key) -> Classes:
        """The classes of one family, by its root's kind and name."""
        found = self._families.get(root)
        return self._before.family(root) if found is None else found

    def owned_by(self, owner: Key) -> Iterable[Key]:
        """The members that name an owner, and such as did."""
        return {*self._before.owned_by(owner), *self._owned.get(owner, ())}

    def families_of(self, keys: Iterable[Key]) -> set[Key]:
        """The roots of these members and of all that they own, by kind and name."""
        roots = ChainMap(self._anew, self._before.roots)
        moved = _moved(self, keys) - self._gone
        return {_family(roots[key]) for key in moved if key in roots}

    def _with_anew(self, before: Classes, is_meant: Callable[[Workload], bool]) -> Classes:
        anew = [each for classes in self._families.values() for each in classes if is_meant(each)]
        return tuple(sorted([*before, *anew], key=_order)) if anew else before


def _as_before(
    found: Iterable[Workload], family: Key, earlier: ClassIndex | ChangedClassIndex | None
) -> Classes:
    """The classes of a family, those of an earlier index where these say the same."""
    classes = tuple(found)
    known = {each.name: each for each in earlier.family(family)} if earlier else {}
    if not known:
        return classes
    return tuple(
        before if (before := known.get(each.name)) and is_unchanged(before, each) else each
        for each in classes
    )


def _moved(before: ClassIndex | ChangedClassIndex, changed: Iterable[Key]) -> set[Key]:
    """The members whose family may be another one: those that changed, and all that they own."""
    moved = set(changed)
    owners = set(moved)
    for _ in range(LONGEST_OWNERSHIP):
        owners = {key for owner in owners for key in before.owned_by(owner)} - moved
        moved |= owners
    return moved


def _family(root: ObjectRef) -> Key:
    return (root.kind, root.name)


def _order(workload: Workload) -> Key:
    return (workload.ref.kind, workload.ref.name)
