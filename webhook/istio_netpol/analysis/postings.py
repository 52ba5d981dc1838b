"""Which objects stand under a name: an index that a change copies only where it changes it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Set
from typing import Generic, TypeVar

from istio_netpol.analysis.subjects import Key

Place = TypeVar("Place", bound=Hashable)


class Postings(Generic[Place]):
    """The owners that stand under each place, by their namespaces. Never changes.

    Some places (the namespace of istiod, the Workloads of all namespaces) hold most of a cluster: what a
    change copies of them is the list of one namespace.
    """

    def __init__(self, places: Mapping[Place, Mapping[str, tuple[Key, ...]]] | None = None) -> None:
        self._places = places or {}

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places)

    def at(self, place: Place) -> Iterator[Key]:
        """Who stands there."""
        for owners in self._places.get(place, {}).values():
            yield from owners

    def moved(self, moves: Iterable[tuple[Key, Set[Place], Set[Place]]]) -> Postings[Place]:
        """The postings after owners changed places: from these to those."""
        places = dict(self._places)
        copied: dict[Place, dict[str, tuple[Key, ...]]] = {}
        for owner, before, after in moves:
            for place in before ^ after:
                if place not in copied:
                    places[place] = copied[place] = dict(places.get(place, {}))
                there = copied[place].get(owner[2], ())
                if place in after:
                    copied[place][owner[2]] = (*there, owner)
                else:
                    copied[place][owner[2]] = tuple(each for each in there if each != owner)
        for place, homes in copied.items():
            if not any(homes.values()):
                del places[place]
        return Postings(places)
