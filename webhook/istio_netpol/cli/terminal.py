"""Standard output and standard error: who reads them, in colour or not, and the progress of reading for
whoever waits."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

import click

from istio_netpol.errors import NetpolError
from istio_netpol.printable import visible

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

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
    return COLOURS if _is_terminal(sys.stdout) and not forbidden else PLAIN


def _is_terminal(stream: TextIO) -> bool:
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


_PATIENCE = 0.5
"""Seconds before a bar appears."""


class Progress:
    """Counts the bytes that were read of `total`; a terminal shows them as a bar if reading takes a while."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._shown = 0
        self._started = time.monotonic()
        self._bar: ProgressBar[int] | None = None

    def advance(self, count: int) -> None:
        """Takes note of more bytes."""
        self._done += count
        if self._bar is None:
            if time.monotonic() - self._started < _PATIENCE or not (self._total and _is_terminal(sys.stderr)):
                return
            self._bar = click.progressbar(length=self._total, label="Reading", file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(self._done - self._shown)
        self._shown = self._done

    def finish(self) -> None:
        """Leaves the bar's line."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


class CountedFile(io.FileIO):
    """A file that reports how much of it was read."""

    def __init__(self, path: str, progress: Progress) -> None:
        super().__init__(path)
        self._progress = progress

    def readinto(self, buffer: Any) -> int:
        """Reads into a buffer."""
        count = super().readinto(buffer) or 0
        self._progress.advance(count)
        return count

    def readall(self) -> bytes:
        """Reads the rest."""
        data = super().readall() or b""
        self._progress.advance(len(data))
        return data
