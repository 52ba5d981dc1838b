"""A progress bar on standard error, for readers who wait."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from istio_netpol.cli.terminal import is_terminal

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

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
            if time.monotonic() - self._started < _PATIENCE or not (self._total and is_terminal(sys.stderr)):
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
