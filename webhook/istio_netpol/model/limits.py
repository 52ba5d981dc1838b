"""What ends an evaluation before it has cost too much: more asked for than one object may, or too little time
left for an answer."""

from __future__ import annotations

from collections.abc import Callable

from istio_netpol.lazy_dataclass import dataclass


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


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an answer has to be there; `is_over` asks a clock, which belongs to whoever waits."""

    is_over: Callable[[], bool] = _never

    def check(self) -> None:
        """Raises OutOfTimeError once it is over. For loops whose length somebody else chooses."""
        if self.is_over():
            raise OutOfTimeError


NO_DEADLINE = Deadline()
