"""Standard output and standard error: who reads them, and in colour or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from istio_netpol.report.palette import COLOURS, PLAIN, Palette


def palette() -> Palette:
    """Colours where a person reads standard output and does not forbid them (no-color.org)."""
    forbidden = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return COLOURS if is_terminal(sys.stdout) and not forbidden else PLAIN


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream."""
    return stream.isatty()


def write(pieces: Iterable[str]) -> None:
    """Writes a document to standard output, and flushes it, so that a reader who left is noticed here."""
    for piece in pieces:
        sys.stdout.write(piece)
    sys.stdout.flush()


def tell(sentence: str) -> None:
    """Writes a line for people to standard error."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
