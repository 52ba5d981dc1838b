"""Sorted, disjoint, non-adjacent intervals of integers: the ground that port sets and address sets stand on."""

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
    """The integers in both; canonical where both are."""
    return tuple((max(a, c), min(b, d)) for a, b in left for c, d in right if max(a, c) <= min(b, d))


def complement(intervals: Intervals, first: int, last: int) -> Intervals:
    """The integers of `first` to `last` in none of the intervals, which must be canonical and within those bounds."""
    gaps, start = [], first
    for low, high in intervals:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= last:
        gaps.append((start, last))
    return tuple(gaps)
