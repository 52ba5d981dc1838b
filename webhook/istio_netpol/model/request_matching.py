"""The conditions of routes on a request, what is known of one, and whether something matches, as far as that
can be told before a request is made."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from msgspec import Struct


class TextKind(StrEnum):
    """How a text is compared. ELEMENTS is a prefix of whole path elements: `/shop` matches `/shop/a`, not
    `/shopping`."""

    ANY = "any"
    EXACT = "exact"
    PREFIX = "prefix"
    ELEMENTS = "elements"
    REGEX = "regex"


class TextMatch(Struct, frozen=True):
    """One comparison; `ignores_case` of what is not a regular expression."""

    kind: TextKind = TextKind.ANY
    value: str = ""
    ignores_case: bool = False

    @property
    def asks_nothing(self) -> bool:
        """Whether every path matches."""
        return (self.kind, self.value) in _EVERYTHING


_EVERYTHING = frozenset(
    {
        (TextKind.ANY, ""),
        (TextKind.PREFIX, "/"),
        (TextKind.ELEMENTS, "/"),
        (TextKind.REGEX, ".*"),
        (TextKind.REGEX, "/.*"),
    }
)

ANY_TEXT = TextMatch()


class RequestTest(Struct, frozen=True):
    """One match of a route: `others` are the names of what it asks of a request besides path and host."""

    path: TextMatch = ANY_TEXT
    authority: TextMatch = ANY_TEXT
    others: tuple[str, ...] = ()


ANY_REQUEST_AT_ALL = RequestTest()


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
