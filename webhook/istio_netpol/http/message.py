"""An HTTP request, its response, and the error that is a response, too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from msgspec import Struct


class HttpRequest(Struct, frozen=True):
    """One request with its whole body; names of headers in lower case."""

    method: str
    target: str
    version: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class HttpResponse(Struct, frozen=True):
    """The response to one request."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class RefusedError(Exception):
    """A request that is answered with an error, after which its connection ends."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence

    @classmethod
    def malformed(cls, why: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> RefusedError:
        """The error for a request that is not HTTP/1.1 as it is served here."""
        return cls(status, f"this is not an HTTP request that is served here: {why[:200]}")

    def as_bytes(self) -> bytes:
        """The whole response, in JSON like all others."""
        body = json.dumps({"error": self.sentence, "code": self.status.value}).encode()
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body
