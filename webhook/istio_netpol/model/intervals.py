"""Sorted, disjoint, non-adjacent intervals of integers, of which port sets and address sets are made."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]


def canonical(intervals: Iterable[Interval]) -> Intervals:
    """The same integers with overlapping and adjacent intervals merged."""
    merged: list[Interval] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def overlap(left: Intervals, right: Intervals) -> Intervals:
    """The integers in both, which must be canonical, as is the result. Takes time in their sum, not their
    product."""
    found: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low <= high:
            found.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def complement(intervals: Intervals, first: int, last: int) -> Intervals:
    """The integers of `first` to `last` in none of the intervals, which must be canonical and within those
    bounds."""
    gaps, start = [], first
    for low, high in intervals:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= last:
        gaps.append((start, last))
    return tuple(gaps)
