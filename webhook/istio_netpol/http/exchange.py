"""HTTP/1.1 on one connection without I/O: bytes in, whole requests out; answers in, bytes out."""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from istio_netpol.http.message import HttpRequest, HttpResponse
from istio_netpol.http.request_reader import RequestReader

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NOT_IN_HEADERS = re.compile(r"[\r\n\0]")
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Exchange:
    """One request after the other; a client that sends the next before it has the answer is not kept."""

    def __init__(self, most_body: int) -> None:
        self._most_body = most_body
        self._reader = RequestReader(most_body)
        self._is_told = False
        """Whether the client was told that its body is welcome."""

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request is here."""
        return self._reader.taken > 0

    @property
    def held(self) -> int:
        """Bytes of the request that is not complete yet."""
        return self._reader.taken

    @property
    def is_kept(self) -> bool:
        """Whether the connection goes on after this request."""
        head = self._reader.head
        return head is not None and not head.is_last and not self._reader.is_followed

    def receive(self, data: bytes) -> HttpRequest | None:
        """The request, once all of it is here. Raises RefusedError for what is refused."""
        return self._reader.take(data)

    def wants_to_go_on(self) -> bool:
        """Whether the client waits to hear that its body is welcome."""
        head = self._reader.head
        return head is not None and head.awaits_continue and not self._is_told and not self._reader.has_body

    def go_on(self) -> bytes:
        """Tells it."""
        self._is_told = True
        return CONTINUE

    def answer(self, answer: HttpResponse, *, keep: bool) -> bytes:
        """The answer to the request that `receive` gave out, as bytes. `keep` is whether the connection may
        go on."""
        head = self._reader.head
        is_head = head is not None and head.method == "HEAD"
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        lines += [
            f"{name}: {value}"
            for name, value in answer.headers
            if name.lower() != "content-length" or is_head
        ]
        if not is_head and answer.status not in _WITHOUT_BODY:
            lines.append(f"Content-Length: {len(answer.body)}")
        lines.append(f"Date: {_date(int(time.time()))}")
        if not keep:
            lines.append("Connection: close")
        if any(map(_NOT_IN_HEADERS.search, lines)):
            raise ValueError("a header of the answer has more than one line")
        start = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return start if is_head else start + answer.body

    def start_next(self) -> None:
        """Makes ready for the next request of a connection that is kept."""
        self._reader = RequestReader(self._most_body)
        self._is_told = False


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """The date as HTTP writes it, made once a second."""
    return formatdate(second, usegmt=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
