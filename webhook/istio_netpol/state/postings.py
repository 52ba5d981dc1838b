"""What stands under each of several places: who asked for what, which classes of pods carry which label.

Most of what a cluster holds is like something else in it. Things that stand under the same places are one
group, so that one more of them costs one entry, under however many places it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from istio_netpol.state.persistent_map import PersistentMap, within

Place = TypeVar("Place", bound=Hashable)
Held = TypeVar("Held", bound=Hashable)

Groups = PersistentMap[frozenset[Place], PersistentMap[Held, None]]
"""What stands under the same places, by these."""

ByPlace = PersistentMap[Place, PersistentMap[frozenset[Place], None]]


class Postings(Generic[Place, Held]):
    """Things by the places under which they stand. Never changes; `moved` makes another."""

    def __init__(
        self, groups: Groups[Place, Held] | None = None, by_place: ByPlace[Place] | None = None
    ) -> None:
        self._groups = Groups[Place, Held]() if groups is None else groups
        self._by_place = ByPlace[Place]() if by_place is None else by_place

    def __iter__(self) -> Iterator[Place]:
        return iter(self._by_place)

    def __contains__(self, place: object) -> bool:
        return place in self._by_place

    def __bool__(self) -> bool:
        return bool(self._by_place)

    def at(self, place: Place) -> Iterator[Held]:
        """What stands there, in no order."""
        for group in self._by_place.get(place, ()):
            yield from self._groups[group]

    def groups_at(self, place: Place) -> Collection[frozenset[Place]]:
        """The groups of what stands there."""
        found: Collection[frozenset[Place]] = self._by_place.get(place, ())
        return found

    def has(self, group: frozenset[Place]) -> bool:
        """Whether anything stands under these places and no others."""
        return group in self._groups

    def within(self, group: frozenset[Place]) -> Iterable[Held]:
        """What stands under these places and no others, in no order."""
        found: Iterable[Held] = self._groups.get(group, ())
        return found

    def moved(
        self, moves: Iterable[tuple[Held, frozenset[Place], frozenset[Place]]]
    ) -> Postings[Place, Held]:
        """The postings after some things changed places: from all of these to those."""
        gone: dict[frozenset[Place], list[Held]] = {}
        come: dict[frozenset[Place], dict[Held, None]] = {}
        for held, before, after in moves:
            if before != after:
                if before:
                    gone.setdefault(before, []).append(held)
                if after:
                    come.setdefault(after, {})[held] = None
        if not gone and not come:
            return self
        groups = within(self._groups, gone, come)
        new = [group for group in come if group not in self._groups]
        empty = [group for group in gone if group not in groups]
        return Postings(groups, self._places_after(empty, new) if empty or new else self._by_place)

    def _places_after(
        self, gone: Iterable[frozenset[Place]], come: Iterable[frozenset[Place]]
    ) -> ByPlace[Place]:
        dropped: dict[Place, list[frozenset[Place]]] = {}
        put: dict[Place, dict[frozenset[Place], None]] = {}
        for group in gone:
            for place in group:
                dropped.setdefault(place, []).append(group)
        for group in come:
            for place in group:
                put.setdefault(place, {})[group] = None
        return within(self._by_place, dropped, put)
