"""How often each value occurs among many, kept up to date."""

from __future__ import annotations

from bisect import bisect_left, insort
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

    __slots__ = ("_counts", "values")

    def __init__(self, values: tuple[V, ...] = (), counts: PersistentMap[V, int] | None = None) -> None:
        self.values = values
        self._counts: PersistentMap[V, int] = counts if counts is not None else PersistentMap()

    def after(self, gone: Sequence[V], come: Sequence[V], order: Order = themselves) -> Tally[V]:
        """The tally after values went and came; `values` stays the same tuple where no value is new and none
        was the last of its kind."""
        if not gone and not come:
            return self
        by: dict[V, int] = {}
        for value in come:
            by[value] = by.get(value, 0) + 1
        if not self.values and not gone:
            return Tally(tuple(sorted(by, key=order)), PersistentMap(by))
        for value in gone:
            by[value] = by.get(value, 0) - 1
        counts = {value: self._counts.get(value, 0) + number for value, number in by.items() if number}
        if not counts:
            return self
        left = {value: count for value, count in counts.items() if count > 0}
        dropped = [value for value in counts if value not in left]
        new = [value for value in left if value not in self._counts]
        return Tally(spliced(self.values, dropped, new, order), self._counts.after(left, dropped))


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
