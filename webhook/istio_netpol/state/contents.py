"""Whether two objects say the same. As keys they are compared by identity, so this is a function."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def say_the_same(left: Any, right: Any) -> bool:
    """Whether everything that rules and policies read of two objects is equal."""
    return type(left) is type(right) and all(
        getattr(left, each.name) == getattr(right, each.name) for each in fields(left)
    )
