"""Whether two objects say the same. As keys they are compared by identity, so this is a function."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def say_the_same(left: Any, right: Any) -> bool:
    """Whether everything that rules and policies read of two objects is equal."""
    return type(left) is type(right) and all(
        getattr(left, each.name) == getattr(right, each.name) for each in fields(left)
    )


def is_unchanged(before: Any, after: Any) -> bool:
    """Whether an object says what it said, and in the same place of the same file."""
    if before is after:
        return True
    places = [(each.ref.file, each.ref.line) for each in (before, after)]
    return places[0] == places[1] and say_the_same(before, after)
