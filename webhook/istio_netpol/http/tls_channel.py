"""TLS on one connection without I/O: bytes that came go in, bytes to be sent come out."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping
from typing import Any

RECORD_BYTES = 16 * 1024
"""The most that one record carries (RFC 8446 5.1)."""

MOST_RECORDS = 64
"""Read in one turn: a client may put a single byte into each, and they cost what large ones do."""


class TlsChannel:
    """The server's side. Nothing here waits, and what one call does is bounded."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_open = False
        """Whether the handshake is complete."""

        self.is_ended = False
        """Whether the client has said that it sends nothing more."""

        self.has_more = False
        """Whether the last call of `receive` left records for the next one."""

    def receive(self, data: bytes) -> bytes:
        """What the client sent, in plain; empty while the handshake lasts. Raises ssl.SSLError for what is
        not TLS, and for a handshake that fails."""
        self._incoming.write(data)
        self.has_more = False
        if not self.is_open and not self._shake_hands():
            return b""
        return b"".join(self._records())

    def send(self, data: bytes) -> None:
        """Encrypts; `output` has it then."""
        self._tls.write(data)

    def end(self) -> None:
        """Says that nothing more comes (close_notify), where the handshake got that far."""
        if self.is_open:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()

    def output(self) -> bytes:
        """What is to be sent now."""
        return self._outgoing.read()

    @property
    def client_certificate(self) -> Mapping[str, Any] | None:
        """The client's certificate as `SSLSocket.getpeercert` has it: empty where it was not verified."""
        return self._tls.getpeercert()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.is_open = True
        return True

    def _records(self) -> list[bytes]:
        records: list[bytes] = []
        while len(records) < MOST_RECORDS:
            try:
                record = self._tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                return records
            if not record:
                self.is_ended = True
                return records
            records.append(record)
        self.has_more = self._incoming.pending > 0 or self._tls.pending() > 0
        return records
