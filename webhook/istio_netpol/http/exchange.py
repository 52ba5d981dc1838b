"""HTTP/1.1 on one connection without I/O: bytes in, whole requests out; answers in, bytes out."""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from istio_netpol.http.chunked_body import ChunkedBody
from istio_netpol.http.message import Answer, RefusedError, Request
from istio_netpol.http.request_head import RequestHead, parse_head, take_head

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NOT_IN_HEADERS = re.compile(r"[\r\n\0]")
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Exchange:
    """One request after the other; a client that sends the next before it has the answer is not kept."""

    def __init__(self, most_body: int) -> None:
        self._most_body = most_body
        self._received = bytearray()
        """What came and is not part of the head or of a chunk yet."""

        self._searched = 0
        """Bytes of that in which the end of a head was looked for in vain."""

        self._head: RequestHead | None = None
        self._chunks: ChunkedBody | None = None
        self._is_told = False
        """Whether the client was told that its body is welcome."""

        self.has_more = False
        """Whether the last call of `receive` left something for the next one."""

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request is here."""
        return self._head is not None or bool(self._received)

    @property
    def held(self) -> int:
        """Bytes of the request that is not complete yet."""
        return len(self._received) + (len(self._chunks.data) if self._chunks else 0)

    @property
    def is_kept(self) -> bool:
        """Whether the connection goes on after this request."""
        return self._head is not None and not self._head.is_last and not self._received

    def receive(self, data: bytes) -> Request | None:
        """The request, once all of it is here. Raises RefusedError for what is refused."""
        self.has_more = False
        self._received += data
        head = self._head or self._begin()
        if head is None:
            return None
        if self._chunks:
            return self._receive_chunks(head, self._chunks)
        if len(self._received) < head.length:
            return None
        body = bytes(self._received[: head.length])
        del self._received[: head.length]
        return Request(head.method, head.target, head.version, head.headers, body)

    def wants_to_go_on(self) -> bool:
        """Whether the client waits to hear that its body is welcome."""
        return self._head is not None and self._head.awaits_continue and not self._is_told and not self.held

    def go_on(self) -> bytes:
        """Tells it."""
        self._is_told = True
        return CONTINUE

    def answer(self, answer: Answer, *, keep: bool) -> bytes:
        """The answer to the request that `receive` gave out, as bytes. `keep` is whether the connection may
        go on."""
        is_head = self._head is not None and self._head.method == "HEAD"
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
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if is_head else head + answer.body

    def start_next(self) -> None:
        """Makes ready for the next request of a connection that is kept."""
        self._head = self._chunks = None

    def _begin(self) -> RequestHead | None:
        """Takes the head, once all of it is here."""
        end = take_head(self._received, self._searched)
        if not end:
            self._searched = len(self._received)
            return None
        self._head = head = parse_head(bytes(self._received[:end]))
        del self._received[:end]
        self._searched, self._is_told = 0, False
        self._refuse_large(head.length)
        self._chunks = ChunkedBody() if head.is_chunked else None
        return head

    def _receive_chunks(self, head: RequestHead, chunks: ChunkedBody) -> Request | None:
        self.has_more = chunks.take(self._received)
        self._refuse_large(len(chunks.data) + chunks.missing)
        if not chunks.is_over:
            return None
        return Request(head.method, head.target, head.version, head.headers, bytes(chunks.data))

    def _refuse_large(self, size: int) -> None:
        if size > self._most_body:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "the body is larger than this webhook reads (admission.maxRequestBytes)",
            )


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """As HTTP writes it, once a second."""
    return formatdate(second, usegmt=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
