"""Values by number, each once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Hashable)


class Numbered(Generic[Value]):
    """Gives equal values one number, in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        """The number of a value, a new one if it comes for the first time."""
        return self._numbers.setdefault(value, len(self._numbers))

    def find(self, value: Value) -> int | None:
        """The number of a value that came before."""
        return self._numbers.get(value)

    @property
    def values(self) -> tuple[Value, ...]:
        """All values by number."""
        return tuple(self._numbers)
