"""Mappings that never change: a change makes another one, which shares with it all that stayed.

A cluster's objects, their classes and what they need are such mappings: copying a whole one at each event
would make it cost the more the larger the cluster is.
"""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, Generic, Self, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = TypeVar("P", bound=Hashable)

_ENTRIES = 32
"""How many entries a bucket is made for: copying as many costs less than half a microsecond."""

_NONE: Any = object()


class PersistentMap(Mapping[K, V]):
    """A mapping in buckets, in no order that one could rely on; a change copies those that it touches."""

    __slots__ = ("_buckets", "_mask", "_size")

    def __init__(self, entries: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        self._fill(dict(entries))

    def _fill(self, entries: dict[K, V]) -> None:
        """Distributes entries over as many buckets as they need."""
        self._size = len(entries)
        count = 1
        while count * _ENTRIES < self._size:
            count *= 2
        self._mask = count - 1
        if count == 1:
            self._buckets = [entries]
            return
        self._buckets = [{} for _ in range(count)]
        for key, value in entries.items():
            self._buckets[hash(key) & self._mask][key] = value

    def __getitem__(self, key: K) -> V:
        return self._buckets[hash(key) & self._mask][key]

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or the default."""
        mask = self._mask
        return self._buckets[hash(key) & mask if mask else 0].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._buckets[hash(key) & self._mask]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._buckets)

    def items(self) -> ItemsView[K, V]:
        """The keys with their values."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """The values."""
        return _MapValues(self)

    def after(self, put: Mapping[K, V], gone: Iterable[K] = ()) -> Self:
        """The mapping after keys were dropped, and after that others put; the same one where that changes
        nothing."""
        buckets, mask, size = self._buckets, self._mask, self._size
        changed: dict[int, dict[K, V]] = {}
        for key in gone:
            place = hash(key) & mask if mask else 0
            bucket = changed[place] if place in changed else buckets[place]
            if key in bucket:
                if place not in changed:
                    bucket = changed[place] = bucket.copy()
                del bucket[key]
                size -= 1
        for key, value in put.items():
            place = hash(key) & mask if mask else 0
            bucket = changed[place] if place in changed else buckets[place]
            known = bucket.get(key, _NONE)
            if known is not value:
                if place not in changed:
                    bucket = changed[place] = bucket.copy()
                bucket[key] = value
                size += known is _NONE
        return self._with(changed, size) if changed else self

    def _with(self, changed: Mapping[int, dict[K, V]], size: int) -> Self:
        """The mapping with other buckets, or with more or fewer ones where its size asks for that."""
        made = object.__new__(type(self))
        count = self._mask + 1
        buckets = self._buckets.copy()
        for place, bucket in changed.items():
            buckets[place] = bucket
        if size > 2 * _ENTRIES * count or (count > 1 and 4 * size < _ENTRIES * count):
            made._fill({key: value for bucket in buckets for key, value in bucket.items()})
        else:
            made._buckets, made._mask, made._size = buckets, self._mask, size
        return made

    def differences(self, other: PersistentMap[K, V]) -> Iterator[tuple[K, V | None, V | None]]:
        """The keys whose value is not the same object in another mapping, with both values; None where one
        has none. Looks only into buckets that they do not share."""
        if self._mask == other._mask:
            pairs: Iterable[tuple[Mapping[K, V], Mapping[K, V]]] = zip(
                self._buckets, other._buckets, strict=True
            )
        else:
            pairs = [(self, other)]
        for ours, theirs in pairs:
            if ours is theirs:
                continue
            for key in [key for key, value in ours.items() if theirs.get(key, _NONE) is not value]:
                yield key, ours[key], theirs.get(key)
            yield from ((key, None, theirs[key]) for key in theirs.keys() - ours.keys())


EMPTY: PersistentMap[Any, Any] = PersistentMap()
"""What all maps without entries share."""


def within(
    nested: PersistentMap[P, PersistentMap[K, V]],
    gone: Mapping[P, Iterable[K]],
    come: Mapping[P, Mapping[K, V]],
) -> PersistentMap[P, PersistentMap[K, V]]:
    """Maps by what they stand under, after entries of some went and others came; none is kept empty."""
    after: dict[P, PersistentMap[K, V]] = {}
    alone: dict[K, PersistentMap[K, V]] = {}
    for under in {*gone, *come}:
        known, entries = nested.get(under), come.get(under, {})
        if known is None and len(entries) == 1:
            # One object may come to stand under tens of thousands: they share the map of it.
            ((key, value),) = entries.items()
            if key not in alone or alone[key][key] is not value:
                alone[key] = PersistentMap(entries)
            after[under] = alone[key]
        else:
            after[under] = (known or EMPTY).after(entries, gone.get(under, ()))
    left = {under: entries for under, entries in after.items() if entries}
    return nested.after(left, [under for under in after if under not in left])


class _Items(ItemsView[K, V], Generic[K, V]):
    """The entries of a map, bucket by bucket."""

    _mapping: PersistentMap[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return chain.from_iterable(bucket.items() for bucket in self._mapping._buckets)


class _MapValues(ValuesView[V], Generic[V]):
    """The values of a map, bucket by bucket."""

    _mapping: PersistentMap[Any, V]

    def __iter__(self) -> Iterator[V]:
        return chain.from_iterable(bucket.values() for bucket in self._mapping._buckets)
