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
    told = _told(type(left))  # type: ignore[arg-type]
    return bool(told(left) == told(right))


@cache
def _told(type_: type[Struct]) -> Callable[[Any], Any]:
    """What objects of a type say, to compare it quickly."""
    return attrgetter(*type_.__struct_fields__)


def is_unchanged(before: Any, after: Any) -> bool:
    """Whether an object says what it said, and in the same place of the same file."""
    if before is after:
        return True
    ref, place = before.ref, after.ref
    return (ref.file, ref.line) == (place.file, place.line) and say_the_same(before, after)
