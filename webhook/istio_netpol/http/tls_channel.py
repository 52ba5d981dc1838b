"""TLS on one connection without I/O: bytes that came go in, bytes to be sent come out."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Any

HEADER_BYTES = 5
RECORD_TYPES = (20, 21, 22, 23)
RECORD_BYTES = 16 * 1024
"""The most that one record carries (RFC 8446 5.1)."""

MOST_BYTES = HEADER_BYTES + RECORD_BYTES + 2048
"""The most that one may have (TLS 1.2, RFC 5246 6.2.3)."""

MOST_RECORDS = 64
"""Looked at in one turn: a client may put a single byte into each, and they cost what large ones do."""

MOST_EMPTY = 16
"""Records without data that are borne after the handshake. Each may ask for new keys, which costs a quarter
of a millisecond (OpenSSL 3.0); the API server makes none."""


class TlsChannel:
    """The server's side. Nothing here waits, and what one call costs is bounded: the library gets one record
    at a time, as it does not return before it has looked at all it was given."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._received = bytearray()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._empty = 0
        self.is_open = False
        """Whether the handshake is complete."""

        self.is_ended = False
        """Whether the client has said that it sends nothing more."""

    @property
    def has_more(self) -> bool:
        """Whether the last call of `receive` left records for the next one."""
        return bool(self._received) and not self.is_ended and self._record_length() > 0

    def receive(self, data: bytes) -> bytes:
        """What the client sent, in plain; empty while the handshake lasts. Raises ssl.SSLError for what is
        not TLS, and for a handshake that fails."""
        self._received += data
        plain: list[bytes] = []
        for _ in range(MOST_RECORDS):
            length = 0 if self.is_ended else self._record_length()
            if not length:
                break
            self._incoming.write(self._received[:length])
            del self._received[:length]
            plain.append(self._read() if self.is_open else self._shake_hands())
        return b"".join(plain)

    def send(self, data: bytes) -> None:
        """Encrypts; `output` has it then."""
        self._tls.write(data)

    def end(self) -> None:
        """Says that nothing more comes (close_notify), where the handshake got that far."""
        if self.is_open:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()

    def output(self) -> bytes:
        """The bytes that are to be sent now."""
        return self._outgoing.read()

    @cached_property
    def client_certificate(self) -> Mapping[str, Any] | None:
        """The client's certificate as `SSLSocket.getpeercert` has it: empty where it was not verified. For
        use after the handshake, after which it stays the same."""
        return self._tls.getpeercert()

    def _record_length(self) -> int:
        """The length of the first record, with its header; 0 while a part of it is missing. What is not TLS
        counts as one record: the library has the right words for it."""
        received = self._received
        if not received:
            return 0
        length = HEADER_BYTES + int.from_bytes(received[3:HEADER_BYTES], "big")
        if received[0] not in RECORD_TYPES or length > MOST_BYTES:
            return len(received)
        return length if HEADER_BYTES <= len(received) >= length else 0

    def _shake_hands(self) -> bytes:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self.is_open = True
        return b""

    def _read(self) -> bytes:
        """The content of the record that was just given to the library."""
        try:
            data = self._tls.read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            self._empty += 1
            if self._empty > MOST_EMPTY:
                raise ssl.SSLError("too many records without data") from None
            return b""
        self.is_ended = not data
        return data
