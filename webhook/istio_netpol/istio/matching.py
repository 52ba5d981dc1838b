"""Whether something matches, as far as that can be told before a request is made."""

from __future__ import annotations

from enum import IntEnum

from istio_netpol.lazy_dataclass import dataclass


class Match(IntEnum):
    """Whether something matches; the least of several is that all do, the greatest that one does."""

    NO = 0
    MAYBE = 1
    YES = 2

    @classmethod
    def of(cls, known: bool | None) -> Match:
        """None is what can't be told."""
        return cls.MAYBE if known is None else cls.YES if known else cls.NO

    def inverse(self) -> Match:
        return Match(2 - self)


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of an HTTP request; empty where it is not."""

    host: str = ""
    path: str = ""


UNKNOWN_REQUEST = Request()
