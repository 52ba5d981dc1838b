"""HTTP/1.1 on one connection without I/O, by h11: bytes in, whole requests out; answers in, bytes out."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

import h11

from istio_netpol.http.chunk_framing import ChunkFraming
from istio_netpol.http.message import Answer, RefusedError, Request
from istio_netpol.http.request_head import take_head

MOST_EVENTS = 64
"""Taken from the parser in one turn: a client may send a body in chunks of a single byte."""

FED_AT_ONCE = 1024
"""Bytes of a chunked body that are parsed in one go."""

_VERSIONS = (b"1.0", b"1.1")


class Exchange:
    """One request after the other; a client that sends the next before it has the answer is not kept."""

    def __init__(self, most_body: int) -> None:
        self._most_body = most_body
        self._http = h11.Connection(h11.SERVER)
        self._head = bytearray()
        self._event: h11.Request | None = None
        self._framing: ChunkFraming | None = None
        self._pending = bytearray()
        self._body = bytearray()
        self.has_more = False
        """Whether the last call of `receive` left something for the next one."""

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request is here."""
        return bool(self._head) or self._event is not None

    @property
    def held(self) -> int:
        """Bytes of the request that is not complete yet."""
        return len(self._head) + len(self._pending) + len(self._body)

    @property
    def is_kept(self) -> bool:
        """Whether the connection goes on after this request."""
        has_next = self._pending or self._http.trailing_data[0]
        return self._http.their_state is h11.DONE and not has_next

    def receive(self, data: bytes) -> Request | None:
        """The request, once all of it is here. Raises RefusedError for what is refused."""
        self.has_more = False
        try:
            return self._receive(data)
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint or HTTPStatus.BAD_REQUEST)
            raise RefusedError.malformed(str(error), status) from error

    def wants_to_go_on(self) -> bool:
        """Whether the client waits to hear that its body is welcome."""
        return self._event is not None and self._http.they_are_waiting_for_100_continue

    def go_on(self) -> bytes:
        """Tells it."""
        return (
            self._http.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")) or b""
        )

    def answer(self, answer: Answer, *, keep: bool) -> bytes:
        """The answer to the request that `receive` gave out, as bytes. `keep` is whether the connection may
        go on."""
        headers = [*answer.headers, ("Date", formatdate(usegmt=True))]
        if not keep:
            headers.append(("Connection", "close"))
        parts = (
            self._http.send(
                h11.Response(status_code=answer.status, headers=headers, reason=_phrase(answer.status))
            ),
            self._http.send(h11.Data(data=answer.body)) if answer.body else b"",
            self._http.send(h11.EndOfMessage()),
        )
        return b"".join(part for part in parts if part)

    def start_next(self) -> None:
        """Makes ready for the next request of a connection that is kept."""
        self._http.start_next_cycle()
        self._event = self._framing = None

    def _receive(self, data: bytes) -> Request | None:
        if self._event is None:
            searched = len(self._head)
            self._head += data
            end = take_head(self._head, searched)
            if not end:
                return None
            self._http.receive_data(bytes(self._head[:end]))
            data = bytes(self._head[end:])
            self._head.clear()
        self._pending += data
        return self._parse()

    def _parse(self) -> Request | None:
        for _ in range(MOST_EVENTS):
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if not self._pending:
                    return None
                self._feed()
            elif isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._body += event.data
                self._refuse_large(len(self._body))
            elif isinstance(event, h11.EndOfMessage):
                return self._whole()
        self.has_more = True
        return None

    def _feed(self) -> None:
        """Gives the parser what comes next; of a chunked body, so little that few chunks are in it."""
        size = FED_AT_ONCE if self._framing else len(self._pending)
        piece = bytes(self._pending[:size])
        del self._pending[:size]
        if self._framing:
            self._framing.check(piece)
        self._http.receive_data(piece)

    def _begin(self, event: h11.Request) -> None:
        self._event = event
        names = dict(event.headers)
        if event.http_version not in _VERSIONS:
            raise RefusedError.malformed("it is neither HTTP/1.0 nor HTTP/1.1")
        if b"content-length" in names and b"transfer-encoding" in names:
            raise RefusedError.malformed("it gives the length of its body twice")
        if names.get(b"expect", b"100-continue").lower() != b"100-continue":
            raise RefusedError.malformed("it expects something unknown", HTTPStatus.EXPECTATION_FAILED)
        if b"transfer-encoding" in names:
            self._framing = ChunkFraming()
        self._refuse_large(int(names.get(b"content-length", b"0")))

    def _refuse_large(self, size: int) -> None:
        if size > self._most_body:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "the body is larger than this webhook reads (admission.maxRequestBytes)",
            )

    def _whole(self) -> Request:
        event = self._event
        assert event is not None  # noqa: S101
        body = bytes(self._body)
        self._body.clear()
        return Request(
            event.method.decode("ascii"),
            event.target.decode("ascii"),
            event.http_version.decode("ascii"),
            [(name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers],
            body,
        )


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
