"""How long a sentence of a review may be, and what it may hold."""

from __future__ import annotations

import unicodedata

MAX_SENTENCE = 1024
"""Bytes of a sentence on a line of its own."""


def one_line(text: str) -> str:
    """A sentence that stays on one line whatever names and URLs it quotes, and within bounds."""
    plain = _printable(text)
    encoded = plain.encode(errors="replace")
    return (
        plain if len(encoded) <= MAX_SENTENCE else encoded[: MAX_SENTENCE - 3].decode(errors="ignore") + "..."
    )


def ascii_line(text: str) -> str:
    """The same as an HTTP header takes it, in printable ASCII and of any length."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode()
    return _printable(plain)


def shortened(text: str, most: int) -> str:
    """A sentence of at most so many characters; what is cut ends with a whole word and three dots."""
    return text if len(text) <= most else text[: most - 3].rsplit(" ", 1)[0] + "..."


def _printable(text: str) -> str:
    """Words on one line: whatever can't be printed is a space."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())
