"""Where the head of a request ends, and how long it may be; looked at before anything is parsed."""

from __future__ import annotations

import re
from http import HTTPStatus

from istio_netpol.http.message import RefusedError

MOST_LINE = 8190
MOST_HEAD = 32 * 1024
MOST_HEADERS = 100

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\n[ \t]")


def take_head(received: bytearray, searched: int) -> int:
    """Where the head ends, 0 where it has not ended yet; the first `searched` bytes alone had no end. Raises
    RefusedError for a head that is too long, ended or not, and for one that a parser would try many ways
    to understand: after a thousand spaces, a byte that may not be there costs it 10 ms."""
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
