"""The examples below a command's help."""

from __future__ import annotations

EXAMPLES = "Examples:"


def examples(*lines: str) -> str:
    """An epilog that click prints line by line as it is."""
    return "\n".join(["\b", EXAMPLES, *(f"  {line}" for line in lines)])
