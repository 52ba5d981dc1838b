"""A body in chunks (RFC 9112 7.1), without extensions and trailers, which nobody who sends reviews uses."""

from __future__ import annotations

import re

from istio_netpol.http.message import RefusedError

MOST_LINES = 256
"""Read in one turn: a client may put a single byte into each chunk."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_MOST_LINE = 10


class ChunkedBody:
    """Reads a body however it is cut."""

    def __init__(self) -> None:
        self.data = bytearray()
        """What came so far."""

        self.missing = 0
        """Bytes that the chunk at hand lacks."""

        self.is_over = False
        """Whether all of it is here."""

        self._is_within = False
        """Whether the next line is the end of a chunk's data."""

        self._is_last = False

    def take(self, received: bytearray) -> bool:
        """Takes away what belongs to the body, as much as is read in one turn; whether more can be taken at
        once. Raises RefusedError for all but sizes, data and line ends."""
        at = 0
        try:
            for _ in range(MOST_LINES):
                piece = received[at : at + self.missing]
                self.data += piece
                self.missing -= len(piece)
                at += len(piece)
                end = received.find(b"\n", at, at + _MOST_LINE) + 1
                if self.missing or not end:
                    if len(received) - at >= _MOST_LINE:
                        raise RefusedError.malformed("a chunk has no size, or an extension")
                    return False
                line = bytes(received[at:end])
                at = end
                self._take_line(line)
                if self.is_over:
                    return False
            return True
        finally:
            del received[:at]

    def _take_line(self, line: bytes) -> None:
        if self._is_within or self._is_last:
            if line != b"\r\n":
                what = "its body has trailers" if self._is_last else "a chunk is longer than its size"
                raise RefusedError.malformed(what)
            self._is_within, self.is_over = False, self._is_last
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise RefusedError.malformed("a chunk has no size, or an extension")
        self.missing = int(size[1], 16)
        self._is_within = self.missing > 0
        self._is_last = self.missing == 0
