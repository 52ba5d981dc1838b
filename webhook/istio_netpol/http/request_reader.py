"""Reads one request by llhttp, the parser of Node.js: what it may cost, and which requests are not served."""

from __future__ import annotations

from http import HTTPStatus

from httptools import HttpParserError, HttpRequestParser
from msgspec import Struct

from istio_netpol.http.message import HttpRequest, RefusedError

MOST_LINE = 8190
MOST_HEAD = 32 * 1024
MOST_HEADERS = 100
MOST_FRAME = 16
"""Bytes around the data of a chunk. The parser bears extensions and leading zeros without end."""


class RequestHead(Struct, frozen=True):
    """What a request says before its body, as far as it matters here."""

    method: str
    version: str
    is_last: bool
    """Whether the client wants the connection to end with the answer."""

    awaits_continue: bool
    """Whether the client waits to hear that its body is welcome."""


class RequestReader:
    """Takes in the bytes of one request, however they are cut."""

    def __init__(self, most_body: int) -> None:
        self._most_body = most_body
        self._parts = _ParsedParts(most_body)
        self._parser = self._parts.parser = HttpRequestParser(self._parts)
        self.taken = 0
        """Bytes that came."""

        self.is_followed = False
        """Whether the client sent more than this request. The rest is lost."""

    @property
    def head(self) -> RequestHead | None:
        """Known once all of it is here."""
        return self._parts.head

    @property
    def has_body(self) -> bool:
        """Whether a part of the body is here, or the request is complete without one."""
        return bool(self._parts.body) or self._parts.is_complete

    def take(self, data: bytes) -> HttpRequest | None:
        """The request, once all of it is here. Raises RefusedError for all that is not HTTP/1.1, or of which
        two readers could think differently, and for what is too large."""
        if not self.taken and data.startswith((b"\r", b"\n")):
            raise RefusedError.malformed("it begins with an empty line")
        self.taken += len(data)
        self._parse(data)
        parts, head = self._parts, self._parts.head
        if len(parts.body) > self._most_body:
            raise _too_large_a_body()
        if head is None or not parts.is_complete:
            self._bound_frame()
            return None
        target = parts.target.decode("latin-1")
        return HttpRequest(head.method, target, head.version, parts.headers, bytes(parts.body))

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if self._parts.is_complete:
                self.is_followed = True
            elif error.__context__ is not None:  # An exception of `_parts`.
                raise error.__context__ from None
            else:
                raise RefusedError.malformed(str(error)) from None

    def _bound_frame(self) -> None:
        """Refuses what need not end: all that came and is not data of the body."""
        if self.taken - len(self._parts.body) <= MOST_HEAD + MOST_FRAME * self._parts.chunks:
            return
        if self.head is None:
            raise _too_large("its header fields are too long")
        raise RefusedError.malformed("a chunk has a long size, an extension or trailers")


class _ParsedParts:
    """What the parser finds, by its names for it. An exception ends its reading."""

    def __init__(self, most_body: int) -> None:
        self._most_body = most_body
        self._size = 0
        self.parser: HttpRequestParser | None = None
        """Let go of once it was asked: it holds these parts, and the garbage collector need not part them."""

        self.target = b""
        self.headers: list[tuple[str, str]] = []
        """With names in lower case."""

        self.head: RequestHead | None = None
        self.body = bytearray()
        self.chunks = 0
        self.is_complete = False

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise RefusedError.malformed("it came before the last one was answered")

    def on_url(self, part: bytes) -> None:
        self.target += part
        if len(self.target) > MOST_LINE:
            why = "its first line is too long"
            raise RefusedError.malformed(why, HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:
            raise RefusedError.malformed("its body has trailers")
        length = len(name) + len(value)
        self._size += length
        if length > MOST_LINE or self._size > MOST_HEAD:
            raise _too_large("its header fields are too long")
        if len(self.headers) == MOST_HEADERS:
            raise _too_large(f"it has more than {MOST_HEADERS} header fields")
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        parser, self.parser = self.parser, None
        assert parser is not None  # noqa: S101
        version = parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise RefusedError.malformed("it is neither HTTP/1.0 nor HTTP/1.1")
        if parser.should_upgrade():
            raise RefusedError.malformed("it asks for another protocol", HTTPStatus.NOT_IMPLEMENTED)
        is_newest = version == "1.1"
        self._judge_length(is_newest)
        hosts, expected = self._values("host"), {value.lower() for value in self._values("expect")}
        if len(hosts) > 1 or (is_newest and not hosts):
            raise RefusedError.malformed("it does not have exactly one Host")
        if expected - {"100-continue"}:
            raise RefusedError.malformed("it expects something unknown", HTTPStatus.EXPECTATION_FAILED)
        self.head = RequestHead(
            method=parser.get_method().decode("ascii"),
            version=version,
            is_last=not is_newest or not parser.should_keep_alive(),
            awaits_continue=is_newest and bool(expected),
        )

    def on_chunk_header(self) -> None:
        self.chunks += 1

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_complete = True

    def _values(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found == name]

    def _judge_length(self, is_newest: bool) -> None:
        """The parser has refused a length that is not a number, and a second one, be it a transfer coding."""
        codings = self._values("transfer-encoding")
        if codings and (not is_newest or [coding.lower() for coding in codings] != ["chunked"]):
            why = "its transfer coding is not chunked, in HTTP/1.1"
            raise RefusedError.malformed(why, HTTPStatus.NOT_IMPLEMENTED)
        if any(int(length) > self._most_body for length in self._values("content-length")):
            raise _too_large_a_body()


def _too_large(why: str) -> RefusedError:
    return RefusedError.malformed(why, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def _too_large_a_body() -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "the body is larger than this webhook reads (admission.maxRequestBytes)",
    )
