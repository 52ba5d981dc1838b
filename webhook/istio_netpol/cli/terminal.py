"""What a person at a terminal is shown: colours, and the progress of reading while he waits."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TextIO

import click

from istio_netpol.report.palette import COLOURS, PLAIN, Palette


def palette() -> Palette:
    """Colours where a person reads standard output and does not forbid them (no-color.org)."""
    forbidden = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return COLOURS if _is_terminal(sys.stdout) and not forbidden else PLAIN


def _is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream."""
    return stream.isatty()


_PATIENCE = 0.5
"""Seconds before a bar appears."""


class Progress:
    """Counts the bytes that were read of `total`; a terminal shows them as a bar if reading takes a while."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._shown = 0
        self._started = time.monotonic()
        self._bar = ExitStack()
        self._show: Callable[[int], None] | None = None

    def advance(self, count: int) -> None:
        """Takes note of more bytes."""
        self._done += count
        if self._show is None:
            if time.monotonic() - self._started < _PATIENCE or not (self._total and _is_terminal(sys.stderr)):
                return
            bar = click.progressbar(length=self._total, label="Reading", file=sys.stderr)
            self._show = self._bar.enter_context(bar).update
        self._show(self._done - self._shown)
        self._shown = self._done

    def finish(self) -> None:
        """Leaves the bar's line."""
        self._bar.close()
        self._show = None


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
