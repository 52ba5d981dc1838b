"""Intervals against Python sets of integers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.model.intervals import canonical, complement, overlap

bounds = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda pair: (min(pair), max(pair)))
intervals = st.lists(bounds, max_size=5)


def members(some):
    return {number for low, high in some for number in range(low, high + 1)}


def is_canonical(some):
    return all(low <= high for low, high in some) and all(
        left[1] + 1 < right[0] for left, right in pairwise(some)
    )


@given(intervals)
def test_canonical_keeps_the_integers(some):
    """Merging changes the form, never the set."""
    assert members(canonical(some)) == members(some)
    assert is_canonical(canonical(some))


@given(intervals, intervals)
def test_overlap_is_the_intersection(left, right):
    """The integers in both, in canonical form."""
    both = overlap(canonical(left), canonical(right))
    assert members(both) == members(left) & members(right)
    assert is_canonical(both)


@given(intervals)
def test_complement_is_the_rest(some):
    """The integers of the bounds in none of the intervals, in canonical form."""
    rest = complement(canonical(some), 1, 12)
    assert members(rest) == set(range(1, 13)) - members(some)
    assert is_canonical(rest)


def test_adjacent_intervals_merge():
    """1 to 2 and 3 to 4 are 1 to 4; with a gap they stay apart."""
    assert canonical([(3, 4), (1, 2)]) == ((1, 4),)
    assert canonical([(4, 5), (1, 2)]) == ((1, 2), (4, 5))
