"""What becomes of a request for the map."""

from __future__ import annotations

from enum import StrEnum


class MapResult(StrEnum):
    """The words by which requests are counted."""

    ANSWERED = "answered"

    UNAUTHENTICATED = "unauthenticated"
    """No token that the API server accepts."""

    FORBIDDEN = "forbidden"
    """No namespace may be seen."""

    LIMITED = "limited"
    """Too many tokens were tried."""

    FAILED = "failed"
    """The cluster is not read, the API server does not answer, or something else was asked for."""
