"""How an evaluation fails: by an error of our own that is contained to one object, by an object that asks for
more than one may, or because the time for an answer is over."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from msgspec import Struct

from istio_netpol.model.references import ObjectRef
from istio_netpol.printable import visible

_MOST_TEXT = 200
"""How many characters of an error are told: it may quote a megabyte that a tenant wrote."""

_FRAMES = 4
"""How many of the innermost calls tell where it was."""


class Failure(Struct, frozen=True):
    """`step` is what was being done (`rule dns`), `error` the type and text of the error, `place` the
    innermost calls, for whoever mends it."""

    step: str
    error: str
    place: str

    @classmethod
    def of(cls, step: str, error: Exception) -> Failure:
        """The failure that stands for an error."""
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        shown = text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 3] + "..."
        return cls(step, visible(shown.encode("ascii", "backslashreplace").decode()), _place(error))

    def __str__(self) -> str:
        """The end of the sentence in findings and refusals."""
        return f"an error inside istio-netpol ({self.step}: {self.error}); please report it with this object"


class Undecoded(Struct, frozen=True, eq=False):
    """Stands for an object whose decoder failed."""

    ref: ObjectRef
    failure: Failure


def _place(error: Exception) -> str:
    calls: list[str] = []
    frame: TracebackType | None = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        module = frame.tb_frame.f_globals.get("__name__", "?")
        calls.append(f"{module}.{code.co_name}:{frame.tb_lineno}")
        frame = frame.tb_next
    return " < ".join(reversed(calls[-_FRAMES:]))


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
