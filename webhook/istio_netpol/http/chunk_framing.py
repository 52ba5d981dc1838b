"""The frame of a chunked body, checked before it is parsed: no chunk extensions, and no trailers.

Nobody who sends reviews uses either, and parsing them is where a short text can cost a second.
"""

from __future__ import annotations

import re

from istio_netpol.http.message import RefusedError

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_MOST_LINE = 10


class ChunkFraming:
    """Follows a body (RFC 9112 7.1) however it is cut."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        """Bytes until the next line: of a chunk's data, and the line end after it."""

        self._is_last = False
        self._is_over = False

    def check(self, data: bytes) -> None:
        """Looks at what comes next. Raises RefusedError for all but a size, data and the last line end."""
        at = 0
        while at < len(data) and not self._is_over:
            if self._left:
                skipped = min(self._left, len(data) - at)
                self._left -= skipped
                at += skipped
                continue
            end = data.find(b"\n", at, at + _MOST_LINE) + 1
            piece = data[at : end or at + _MOST_LINE]
            self._line += piece
            at += len(piece)
            if end:
                self._take_line()
            elif len(self._line) >= _MOST_LINE:
                raise RefusedError.malformed("a chunk has no size, or an extension")

    def _take_line(self) -> None:
        line, self._line = self._line, b""
        if self._is_last:
            if line != b"\r\n":
                raise RefusedError.malformed("its body has trailers")
            self._is_over = True
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise RefusedError.malformed("a chunk has no size, or an extension")
        length = int(size[1], 16)
        self._is_last = length == 0
        self._left = length + len(b"\r\n") if length else 0
