"""Answers about all namespaces of a snapshot, kept for those that come of it.

An answer that is first asked after a change is made by the snapshot that was there before, where the next
change finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from istio_netpol.state.namespace import NamespaceObjects
from istio_netpol.state.spread import ChangedTypes, Spread, joined

NAMESPACES, PODS, PODS_BY_ADDRESS = "namespaces", "pods", "pods by address"
"""What the keys of some answers begin with."""

_CHOSEN_BY_OBJECTS = (NAMESPACES, PODS)
"""Answers about selectors, of which a cluster may see ever new ones."""

_MOST = 4096
"""How many answers are kept from change to change."""

Compute = Callable[[NamespaceObjects], tuple[Any, ...]]
"""What a namespace adds to an answer."""


class SpanningAnswers:
    """The answers about `places`. `origin` has those of the snapshot that later ones go by, `changes` is what
    differs from it."""

    def __init__(
        self,
        places: Mapping[str, NamespaceObjects],
        spreads: Mapping[Any, Spread] | None = None,
        origin: SpanningAnswers | None = None,
        changes: ChangedTypes | None = None,
    ) -> None:
        self._places = places
        self._spreads: dict[Any, Spread] = dict(spreads or {})
        self._origin = origin
        self._changes = changes or {}

    def after(
        self, places: Mapping[str, NamespaceObjects], changes: ChangedTypes, *, by_these: bool
    ) -> SpanningAnswers:
        """The answers after changes, which made other places; `by_these` says that later ones go by these,
        not by an origin of theirs."""
        spreads = self._spreads_after(changes)
        if by_these:
            return SpanningAnswers(places, spreads, self, changes)
        return SpanningAnswers(places, spreads, self._origin, joined(self._changes, changes))

    def copied(self, *, by_these: bool) -> SpanningAnswers:
        """The same, to which others are added."""
        origin = self if by_these else self._origin
        return SpanningAnswers(self._places, self._spreads, origin, self._changes)

    def settle(self) -> None:
        """Lets go of the origin: later answers go by these."""
        # A cluster that is watched changes without end: a chain of origins would keep all it ever was.
        self._origin, self._changes = None, {}

    def forget(self, words: Collection[str]) -> None:
        """Drops the answers whose keys begin so."""
        for key in list(self._spreads):
            if key[0] in words:
                self._spreads.pop(key, None)

    def _spreads_after(self, changes: ChangedTypes) -> Mapping[Any, Spread]:
        """The answers that were kept, after changes; where there are too many, only those whose keys no
        object chooses."""
        kept = list(self._spreads.items())
        if len(kept) > _MOST:
            kept = [(key, spread) for key, spread in kept if key[0] not in _CHOSEN_BY_OBJECTS]
        known = list(changes.values())
        touched = frozenset[type]().union(*(types for types in known if types is not None))
        concern_all = None in known
        return {
            key: spread.after(changes) if concern_all or not touched.isdisjoint(spread.types) else spread
            for key, spread in kept
        }

    def kept(self, key: Any, types: tuple[type, ...], compute: Compute, *, named: bool = False) -> Spread:
        """An answer whose key is not a request's to choose, so that it may be kept for as long as the
        origin lives."""
        if key not in self._spreads and self._origin is not None:
            kept = self._origin.kept(key, types, compute, named=named)
            self._spreads[key] = kept.after(self._changes)
        return self.own(key, types, compute, named=named)

    def own(self, key: Any, types: tuple[type, ...], compute: Compute, *, named: bool = False) -> Spread:
        """The answer under a key, its stale parts made anew."""
        known = self._spreads.get(key)
        if known is not None and not known.stale:
            return known
        answers = dict(known.answers) if known else {}
        for name in known.stale if known else self._places:
            if name in self._places and (answer := compute(self._places[name])):
                answers[name] = answer
            else:
                answers.pop(name, None)
        made = known.renewed(answers) if known else Spread(answers, frozenset(types))
        made = made.with_homes() if named and made.homes is None else made
        self._spreads[key] = made
        return made
