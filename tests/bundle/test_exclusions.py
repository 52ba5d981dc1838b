"""Patterns of paths that are left out: what a star stands for, and that none takes forever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.bundle.exclusions import Exclusions

NAMES = st.text("ab", min_size=1, max_size=8)
PATTERNS = st.text("ab*?", min_size=1, max_size=8).filter(lambda text: "**" not in text)


def naive(pattern: str, name: str) -> bool:
    """Whether a pattern matches a name, by trying all that a star may stand for."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(naive(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and naive(pattern[1:], name[1:])


@given(PATTERNS, NAMES)
def test_a_star_stands_for_any_part_of_a_name(pattern: str, name: str) -> None:
    """At any depth, and of one name only."""
    expected = naive(pattern, name)
    for path in (name, f"c/{name}"):
        assert Exclusions([pattern]).excludes(path, is_folder=False) == expected
    assert Exclusions([f"c/{pattern}/d"]).excludes(f"c/{name}/d", is_folder=False) == expected


def test_many_stars_are_matched_at_once() -> None:
    """The author of a pull request may write any pattern; trying all parts for each star would never end."""
    pattern = "*a" * 40 + "b"
    assert not Exclusions([pattern]).excludes("a" * 200, is_folder=False)
    assert Exclusions([pattern]).excludes("a" * 200 + "b", is_folder=False)
