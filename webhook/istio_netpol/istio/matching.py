"""Whether something matches, as far as that can be told before a request is made."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct


class Match(IntEnum):
    """Whether something matches. The least of several matches says whether all match, the greatest whether
    one does."""

    NO = 0
    MAYBE = 1
    YES = 2

    @classmethod
    def of(cls, known: bool | None) -> Match:
        """The match of a value; MAYBE for None, which is not known."""
        return cls.MAYBE if known is None else cls.YES if known else cls.NO

    def inverse(self) -> Match:
        return Match(2 - self)


class RequestFacts(Struct, frozen=True):
    """What is known of an HTTP request; empty where it is not."""

    host: str = ""
    path: str = ""


UNKNOWN_REQUEST = RequestFacts()
