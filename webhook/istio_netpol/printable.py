"""Text that is safe to show: what a manifest says must not steer the terminal or the log that prints it."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")
"""Control characters of ASCII and Latin 1, line separators, and what turns the direction of writing."""


def visible(text: str) -> str:
    """The text in one line, control characters spelled out."""
    return text if text.isprintable() else _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
