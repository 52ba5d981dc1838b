"""The examples below a command's help."""

from __future__ import annotations

TITLE = "Examples:"


def examples(*lines: str) -> str:
    """An epilog that click prints line by line as it is."""
    return "\n".join(["\b", TITLE, *(f"  {line}" for line in lines)])
