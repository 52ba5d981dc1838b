"""Answers that span namespaces, kept from change to change.

What each namespace adds to an answer is kept by itself, so that a change makes only its own namespaces' part
of it stale.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

AnswerParts = dict[str, tuple[Any, ...]]
"""An answer that spans namespaces: what each namespace adds to it, where it adds anything."""

ChangedTypes = Mapping[str, frozenset[type] | None]
"""The types of objects that changed, by namespace; None: the namespace came or went."""


class Spread(Struct, frozen=True):
    """An answer with the types of objects that it is made from, and the namespaces whose part is stale.

    `homes` are the namespaces whose part has a key, for answers that are looked up by key; the parts of
    `moved` were made anew since.
    """

    answers: AnswerParts
    types: frozenset[type]
    stale: frozenset[str] = frozenset()
    homes: Mapping[Hashable, Sequence[str]] | None = None
    moved: frozenset[str] = frozenset()

    def after(self, changes: ChangedTypes) -> Spread:
        """The same after changes, which make the parts of their namespaces stale."""
        stale = {name for name, types in changes.items() if types is None or not self.types.isdisjoint(types)}
        if stale <= self.stale:
            return self
        return Spread(self.answers, self.types, self.stale | stale, self.homes, self.moved)

    def renewed(self, answers: AnswerParts) -> Spread:
        """The same with its stale parts made anew."""
        moved = self.moved if self.homes is None else self.moved | self.stale
        made = replace(self, answers=answers, stale=frozenset(), moved=moved)
        return made.with_homes() if self.homes is not None and len(moved) > _MOST_MOVED else made

    def with_homes(self) -> Spread:
        """The same, to be looked up by key."""
        homes: dict[Hashable, list[str]] = {}
        for namespace, (by_key,) in self.answers.items():
            for key in by_key:
                homes.setdefault(key, []).append(namespace)
        return replace(self, homes=homes, moved=frozenset())

    def under(self, keys: Sequence[Hashable]) -> Iterator[Any]:
        """What the answer has under these keys, sorted by namespace, without asking each of them."""
        homes = self.homes or {}
        for namespace in sorted(self.moved.union(*(homes.get(key, ()) for key in keys))):
            for by_key in self.answers.get(namespace, ()):
                for key in keys:
                    yield from by_key.get(key, ())

    def held(self, keys: frozenset[Hashable]) -> frozenset[Hashable]:
        """Those of many keys that the answer has, without asking for each of the others."""
        missing = keys.difference(self.homes or {})
        for namespace in self.moved:
            missing = missing.difference(*self.answers.get(namespace, ()))
        # Under some of these there was something before a part of the answer was made anew.
        return frozenset(key for key in keys - missing if next(self.under((key,)), None) is not None)


_MOST_MOVED = 64
"""Namespaces made anew with which an index by key is still used; a new one is cheaper then."""


def joined(earlier: ChangedTypes, later: ChangedTypes) -> ChangedTypes:
    """Both changes as one."""
    both = dict(earlier)
    for name, types in later.items():
        before = both.get(name, frozenset())
        both[name] = None if before is None or types is None else before | types
    return both
