"""Where a fact was read, and when."""

from __future__ import annotations

from datetime import date

from msgspec import Struct


class FactSource(Struct, frozen=True):
    """A page or a file with its version, and the day on which it was read."""

    text: str
    read: date


SURVEY = date(2026, 11, 29)
"""The day of the survey of plugins and platforms; what was looked up again has a later one."""


LOOKED_UP_AGAIN = date(2026, 11, 30)


def looked_up(*texts: str) -> tuple[FactSource, ...]:
    """Sources that were read again, since rules rest on them."""
    return tuple(FactSource(text, LOOKED_UP_AGAIN) for text in texts)


def surveyed(*texts: str) -> tuple[FactSource, ...]:
    """Sources that were read for the survey."""
    return tuple(FactSource(text, SURVEY) for text in texts)
