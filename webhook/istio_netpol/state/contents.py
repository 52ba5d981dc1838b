"""Whether two objects say the same. As keys they are compared by identity, so this is a function."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

from msgspec import Struct


def say_the_same(left: Any, right: Any) -> bool:
    """Whether everything that rules and policies read of two objects is equal."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    told = told_by(type(left))  # type: ignore[arg-type]
    return bool(told(left) == told(right))


@cache
def told_by(type_: type[Struct], apart: frozenset[str] = frozenset()) -> Callable[[Any], Any]:
    """What reads all that objects of a type say, some fields apart, to compare it quickly."""
    return attrgetter(*(name for name in type_.__struct_fields__ if name not in apart))


def is_unchanged(before: Any, after: Any) -> bool:
    """Whether an object says what it said, and in the same place of the same file."""
    if before is after:
        return True
    ref, place = before.ref, after.ref
    return (ref.file, ref.line) == (place.file, place.line) and say_the_same(before, after)
