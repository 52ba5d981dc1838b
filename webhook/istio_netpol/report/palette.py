"""The few colours of text output, as ANSI escapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from istio_netpol.model.findings import Severity
from istio_netpol.printable import visible

T = TypeVar("T")

_RESET = "\x1b[0m"


class Palette(Struct, frozen=True):
    """An escape sequence a role; empty ones leave the text as it is."""

    heading: str = ""
    error: str = ""
    warning: str = ""
    good: str = ""
    faint: str = ""

    def paint(self, text: str, escape: str) -> str:
        return f"{escape}{text}{_RESET}" if escape else text

    def severity(self, severity: Severity) -> str:
        """The escape sequence of a severity."""
        return {Severity.ERROR: self.error, Severity.WARNING: self.warning, Severity.INFO: self.faint}[
            severity
        ]


PLAIN = Palette()
COLOURS = Palette(heading="\x1b[1m", error="\x1b[1;31m", warning="\x1b[33m", good="\x1b[32m", faint="\x1b[2m")


def input_heading(name: str, palette: Palette = PLAIN) -> str:
    """The line above what is said of one of several inputs."""
    return palette.paint(f"== {visible(name)} ==", palette.heading)


def text_of_inputs(
    named: Sequence[tuple[str, T]], text: Callable[[T, Palette], str], palette: Palette
) -> str:
    """What is said of one input that has no name, or of several, each under its own."""
    if len(named) == 1 and not named[0][0]:
        return text(named[0][1], palette)
    return "\n".join(f"{input_heading(name, palette)}\n\n{text(result, palette)}" for name, result in named)
