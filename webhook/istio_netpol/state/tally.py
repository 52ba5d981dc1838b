"""How often each value occurs among many, kept up to date."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Generic, TypeVar

from istio_netpol.state.persistent_map import PersistentMap

V = TypeVar("V", bound=Hashable)

Order = Callable[[Any], Any]
"""By what values are sorted."""


def themselves(value: Any) -> Any:
    """The order of values that can be compared."""
    return value


_FEW = 16
"""Values that are put in their places one by one; more are sorted with the others."""


class Tally(Generic[V]):
    """Values that were counted, each once and sorted in `values`. Never changes; `after` makes another."""

    __slots__ = ("_counted", "values")

    def __init__(self, values: tuple[V, ...] = (), counts: PersistentMap[V, int] | None = None) -> None:
        self.values = values
        self._counted = counts

    @classmethod
    def of(cls, found: Sequence[V], order: Order = themselves) -> Tally[V]:
        """The tally of these values, in whatever order they come."""
        if not found:
            return NOTHING_COUNTED
        distinct = set(found)
        values = tuple(sorted(distinct, key=order)) if len(distinct) > 1 else tuple(distinct)
        return Tally(values, None if len(distinct) == len(found) else PersistentMap(Counter(found)))

    @property
    def _counts(self) -> PersistentMap[V, int]:
        """How often each value occurs. Most that are counted never change, and most values occur once: so
        the numbers are made when they are first asked for."""
        if self._counted is None:
            self._counted = PersistentMap(dict.fromkeys(self.values, 1))
        return self._counted

    def after(self, gone: Sequence[V], come: Sequence[V], order: Order = themselves) -> Tally[V]:
        """The tally after values went and came; `values` stays the same tuple where no value is new and none
        was the last of its kind."""
        if not gone and not come:
            return self
        if not self.values and not gone:
            return Tally.of(come, order)
        by: dict[V, int] = {}
        for value in come:
            by[value] = by.get(value, 0) + 1
        for value in gone:
            by[value] = by.get(value, 0) - 1
        known = self._counts
        counts = {value: known.get(value, 0) + number for value, number in by.items() if number}
        if not counts:
            return self
        left = {value: count for value, count in counts.items() if count > 0}
        dropped = [value for value in counts if value not in left]
        new = [value for value in left if value not in known]
        return Tally(spliced(self.values, dropped, new, order), known.after(left, dropped))


NOTHING_COUNTED: Tally[Any] = Tally()


def spliced(
    values: tuple[V, ...], gone: Sequence[V], come: Collection[V], order: Order = themselves
) -> tuple[V, ...]:
    """Sorted values without some of them and with others."""
    if not gone and not come:
        return values
    left = list(values)
    if len(gone) > _FEW:
        without = set(gone)
        left = [value for value in left if value not in without]
    else:
        for value in gone:
            del left[bisect_left(left, order(value), key=order)]
    if len(come) > _FEW:
        left = sorted((*left, *come), key=order)
    else:
        for value in come:
            insort(left, value, key=order)
    return tuple(left)
