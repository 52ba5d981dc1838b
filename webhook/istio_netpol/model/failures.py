"""An error of our own that was contained to one object: its text, without the frames that would keep it
alive."""

from __future__ import annotations

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
