"""Where the head of a request ends, and how long it may be; looked at before anything is parsed."""

from __future__ import annotations

import re
from http import HTTPStatus

from istio_netpol.http.message import RefusedError

MOST_LINE = 8190
MOST_HEAD = 32 * 1024
MOST_HEADERS = 100

_BLANK_LINE = re.compile(rb"\n\r?\n")


def take_head(received: bytearray, searched: int) -> bool:
    """Whether `received` holds a whole head; its first `searched` bytes alone did not. Raises RefusedError
    for one that is too long, whole or not."""
    blank = _BLANK_LINE.search(received, max(0, searched - 3))
    is_whole = blank is not None or received.startswith((b"\r", b"\n"))
    end = blank.end() if blank else len(received)
    if end > MOST_LINE:
        _refuse_long(received[:end])
    elif blank and received.count(b"\n", 0, end) > MOST_HEADERS + 2:
        raise _too_large(f"it has more than {MOST_HEADERS} header fields")
    return is_whole


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
