"""The results of an examination of a cluster: one line for each thing that was looked at."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Health(StrEnum):
    """How one thing was found. `NOTE` is worth knowing and wrong only under circumstances that the line
    names; `NOT_SEEN` could not be looked at."""

    OK = "ok"
    WRONG = "wrong"
    NOTE = "note"
    NOT_SEEN = "not seen"


class Diagnosis(Struct, frozen=True):
    """One thing: what was looked at, what was found there, and what to do about it."""

    topic: str
    looked_at: str
    found: str
    health: Health = Health.OK
    remedy: str = ""
