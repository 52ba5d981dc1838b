"""Postings say what a plain mapping says, however things move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.state.postings import Postings

PLACES = frozenset("abcd")
places = st.frozensets(st.sampled_from(sorted(PLACES)))


@given(st.lists(st.dictionaries(st.integers(0, 9), places, max_size=5), max_size=8))
def test_postings_follow_every_move(courses: list[dict[int, frozenset[str]]]) -> None:
    stands: dict[int, frozenset[str]] = {}
    postings = Postings[str, int]()
    for course in courses:
        earlier, were = postings, dict(stands)
        postings = postings.moved(
            (held, stands.get(held, frozenset()), after) for held, after in course.items()
        )
        stands.update(course)
        assert_says(postings, stands)
        assert_says(earlier, were)


def assert_says(postings: Postings[str, int], stands: dict[int, frozenset[str]]) -> None:
    """Whether postings say where each thing stands, and hold nothing else."""
    assert set(postings) == frozenset().union(*stands.values())
    for place in PLACES:
        here = {held for held, at in stands.items() if place in at}
        assert sorted(postings.at(place)) == sorted(here)
        assert (place in postings) == bool(here)
        assert set(postings.groups_at(place)) == {stands[held] for held in here}
    for group in stands.values():
        alike = {held for held, at in stands.items() if at == group} if group else set()
        assert set(postings.within(group)) == alike
        assert postings.has(group) == bool(alike)


def test_what_moves_nowhere_changes_nothing() -> None:
    postings = Postings[str, int]().moved([(1, frozenset(), frozenset("ab"))])
    assert postings.moved([(1, frozenset("ab"), frozenset("ab"))]) is postings
