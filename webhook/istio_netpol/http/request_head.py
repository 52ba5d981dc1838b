"""The head of a request: where it ends, how long it may be, and what it says (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

from msgspec import Struct

from istio_netpol.http.message import RefusedError

MOST_LINE = 8190
MOST_HEAD = 32 * 1024
MOST_HEADERS = 100

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\n[ \t]")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105
_FIRST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/(1\.[01])")
_NAME = re.compile(_TOKEN)
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class RequestHead(Struct, frozen=True):
    """What a request says before its body. Names of headers are in lower case."""

    method: str
    target: str
    version: str
    headers: Sequence[tuple[str, str]]
    length: int
    """Bytes of the body, 0 where it comes in chunks."""

    is_chunked: bool
    is_last: bool
    """Whether the client wants the connection to end with the answer."""

    awaits_continue: bool
    """Whether the client waits to hear that its body is welcome."""


def take_head(received: bytearray, searched: int) -> int:
    """Where the head ends, 0 where it has not ended yet; the first `searched` bytes alone had no end. Raises
    RefusedError for a head that is too long, ended or not, and for control characters in it."""
    blank = _BLANK_LINE.search(received, max(0, searched - 3))
    end = blank.end() if blank else len(received)
    if end > MOST_LINE:
        _refuse_long(received[:end])
    if received.startswith((b"\r", b"\n")):
        raise RefusedError.malformed("it begins with an empty line")
    if blank is None:
        return 0
    if received.count(b"\n", 0, end) > MOST_HEADERS + 2:
        raise _too_large(f"it has more than {MOST_HEADERS} header fields")
    if _FORBIDDEN.search(received, 0, end):
        raise RefusedError.malformed("its head has control characters, or a field on two lines")
    return end


def parse_head(head: bytes) -> RequestHead:
    """What a head says that `take_head` has let pass. Raises RefusedError for all that is not HTTP/1.1, or of
    which two readers could think differently: where a body ends is said once, or not at all."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")[:-2]
    match = _FIRST_LINE.fullmatch(first)
    if match is None:
        raise RefusedError.malformed("its first line is not a method, a target, and HTTP/1.0 or HTTP/1.1")
    method, target, version = match.groups()
    headers = [_header(line) for line in lines]
    is_newest = version == "1.1"
    length, is_chunked = _length(headers, is_newest)
    hosts = _values(headers, "host")
    if len(hosts) > 1 or (is_newest and not hosts):
        raise RefusedError.malformed("it does not have exactly one Host")
    expected = {value.lower() for value in _values(headers, "expect")}
    if expected - {"100-continue"}:
        raise RefusedError.malformed("it expects something unknown", HTTPStatus.EXPECTATION_FAILED)
    options = {
        option.strip().lower() for value in _values(headers, "connection") for option in value.split(",")
    }
    is_last = not is_newest or "close" in options
    return RequestHead(
        method, target, version, headers, length, is_chunked, is_last, is_newest and bool(expected)
    )


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise RefusedError.malformed("a header field does not begin with a name and a colon")
    return name.lower(), value.strip(" \t")


def _values(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for found, value in headers if found == name]


def _length(headers: Sequence[tuple[str, str]], is_newest: bool) -> tuple[int, bool]:
    """How long the body is, and whether it comes in chunks instead."""
    lengths, codings = _values(headers, "content-length"), _values(headers, "transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise RefusedError.malformed("it gives the length of its body twice")
    if codings:
        if codings[0].lower() != "chunked" or not is_newest:
            why = "its transfer coding is not chunked, in HTTP/1.1"
            raise RefusedError.malformed(why, HTTPStatus.NOT_IMPLEMENTED)
        return 0, True
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise RefusedError.malformed("its Content-Length is not a number")
    return int(lengths[0]) if lengths else 0, False


def _refuse_long(head: bytearray) -> None:
    line, *fields = head.split(b"\n")
    if len(line) > MOST_LINE:
        raise RefusedError.malformed("its first line is too long", HTTPStatus.REQUEST_URI_TOO_LONG)
    if len(head) > MOST_HEAD or any(len(field) > MOST_LINE for field in fields):
        raise _too_large("its header fields are too long")
    if len(fields) > MOST_HEADERS + 2:
        raise _too_large(f"it has more than {MOST_HEADERS} header fields")


def _too_large(why: str) -> RefusedError:
    return RefusedError.malformed(why, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
