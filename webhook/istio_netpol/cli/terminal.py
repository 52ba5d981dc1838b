"""Standard output and standard error: who reads them, and in colour or not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from istio_netpol.errors import NetpolError
from istio_netpol.printable import visible

if TYPE_CHECKING:
    from istio_netpol.report.palette import Palette


class OutputError(NetpolError):
    """Standard output can't be written."""

    @classmethod
    def of(cls, error: OSError) -> OutputError:
        return cls(f"the output can't be written: {error.strerror or error}")


def discard_output() -> None:
    """Sends what is still buffered nowhere, so that the interpreter ends without a complaint about it."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def palette() -> Palette:
    """Colours where a person reads standard output and does not forbid them (no-color.org)."""
    from istio_netpol.report.palette import COLOURS, PLAIN

    forbidden = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return COLOURS if is_terminal(sys.stdout) and not forbidden else PLAIN


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream."""
    return stream.isatty()


def write(pieces: Iterable[str]) -> None:
    """Writes a document to standard output, and flushes it, so that a reader who left is noticed here.

    Raises OutputError where it can't be written.
    """
    try:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(error) from None


def tell(sentence: str) -> None:
    """Writes a line for people to standard error, if anybody can read it there."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{visible(sentence)}\n")
        sys.stderr.flush()
