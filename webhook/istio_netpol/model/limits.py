"""Errors that end an evaluation before it costs too much: an object asks for more than one may, or the time
for an answer is over."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class TooMuchError(Exception):
    """An object asks for more than `limit` says; the text completes "it asks for …"."""

    def __init__(self, asked: str, limit: str) -> None:
        super().__init__(asked)
        self.asked = asked
        self.limit = limit


class OutOfTimeError(Exception):
    """The time for an answer is over."""


NOT_CONTAINED = (MemoryError, OutOfTimeError)
"""Errors that are about the whole evaluation, not about the object that met them."""


def _never() -> bool:
    return False


class Deadline(Struct, frozen=True):
    """The time by which an answer has to be there; `is_over` asks a clock, which belongs to the caller."""

    is_over: Callable[[], bool] = _never

    def check(self) -> None:
        """Raises OutOfTimeError once the time is over. For loops whose length somebody else chooses."""
        if self.is_over():
            raise OutOfTimeError


NO_DEADLINE = Deadline()
