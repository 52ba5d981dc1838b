"""Standard output and standard error as commands write to them, whether or not anybody reads there."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable

from istio_netpol.errors import NetpolError
from istio_netpol.printable import visible


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
