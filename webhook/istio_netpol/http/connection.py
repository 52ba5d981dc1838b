"""One connection: its socket, its TLS, its HTTP, and how far it has got. It never waits for its client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from enum import Enum
from selectors import EVENT_READ, EVENT_WRITE

from istio_netpol.http.exchange import Exchange
from istio_netpol.http.message import HttpRequest, HttpResponse, RefusedError
from istio_netpol.http.tls_channel import TlsChannel

READ_BYTES = 64 * 1024

LINGER_SECONDS = 5.0
LINGER_BYTES = 64 * 1024 * 1024
"""How long and how much is still taken in, unread, after a last answer. A socket that is closed with
something unread in it is reset, and the client may never see the answer (RFC 9112 9.6)."""

NO_LINGER = struct.pack("ii", 1, 0)


class Phase(Enum):
    """What a connection waits for."""

    HANDSHAKE = "its handshake"
    IDLE = "its next request"
    RECEIVING = "the rest of its request"
    WAITING = "a thread"
    WORKING = "its answer to be made"
    SENDING = "its client to take the answer"
    LINGERING = "its client to close"
    CLOSED = "nothing"

    # A dozen look-ups in sets for each request; that of Enum hashes the name.
    __hash__ = object.__hash__


AT_WORK = frozenset({Phase.WAITING, Phase.WORKING})
"""In these a connection owes an answer, and nothing is read from it."""


def reset(sock: socket.socket) -> None:
    """Closes a connection without a farewell, which would leave the kernel something to keep for a minute."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()


class Connection:
    """Belongs to the loop, and while it is `WORKING` to a thread."""

    def __init__(self, sock: socket.socket, address: str, most_body: int) -> None:
        self.socket = sock
        self.address = address
        self.phase = Phase.HANDSHAKE
        self.deadline = 0.0
        self.is_proven = False
        """Whether a review was answered on it."""

        self.is_kept = True
        """Whether it goes on after the answer that is being sent."""

        self.held = 0
        """Bytes of a request that no thread has yet, as `Clients` counts them."""

        self.watched = 0
        """Which events the poller reports."""

        self.tls: TlsChannel | None = None
        self.exchange = Exchange(most_body)
        self._output = bytearray()
        self._lingered = 0

    @property
    def wanted(self) -> int:
        """Which events matter now. While the client does not take what it was sent, nothing is read of it."""
        if self.phase in AT_WORK or self.phase is Phase.CLOSED:
            return 0
        return EVENT_WRITE if self._output else EVENT_READ

    @property
    def has_output(self) -> bool:
        """Whether something waits for the client to take it."""
        return bool(self._output)

    @property
    def has_more(self) -> bool:
        """Whether something that came was not looked at yet."""
        return self.tls is not None and self.tls.has_more

    def receive(self, context: Callable[[], ssl.SSLContext]) -> HttpRequest | None:
        """Reads once; the request, where that completes it. Raises EOFError when the client has gone,
        ssl.SSLError for a failed handshake, RefusedError for a request that is refused."""
        data = b"" if self.has_more else self._read()
        if self.tls is None:
            self.tls = TlsChannel(context())
        try:
            plain = self.tls.receive(data)
        finally:
            self._output += self.tls.output()
        request = self.exchange.receive(plain) if plain else None
        if request is None and self.tls.is_ended and not self.has_more:
            raise EOFError
        if self.exchange.wants_to_go_on():
            self._send(self.exchange.go_on())
        return request

    def answer(self, answer: HttpResponse, *, keep: bool) -> None:
        """Begins to send an answer, after which the connection may be kept."""
        self.is_kept = keep and self.exchange.is_kept
        self._send(self.exchange.answer(answer, keep=self.is_kept))
        if self.is_kept:
            self.exchange.start_next()
        self.flush()

    def refuse(self, refusal: RefusedError) -> None:
        """Begins to send an answer that is the last."""
        self.is_kept = False
        self._send(refusal.as_bytes())
        self.flush()

    def flush(self) -> None:
        """Sends what the client takes now. Raises EOFError when it has gone."""
        while self._output:
            try:
                sent = self.socket.send(self._output)
            except BlockingIOError:
                return
            except OSError as error:
                raise EOFError from error
            del self._output[:sent]

    def half_close(self) -> None:
        """Says that nothing more comes, after the last answer."""
        if self.tls is not None:
            self.tls.end()
            self._output += self.tls.output()
        with contextlib.suppress(OSError, EOFError):
            self.flush()
            self._output.clear()
            self.socket.shutdown(socket.SHUT_WR)

    def discard(self) -> None:
        """Takes in what still comes after the last answer. Raises EOFError at its end, and where it is too
        much."""
        self._lingered += len(self._read())
        if self._lingered > LINGER_BYTES:
            raise EOFError

    def _send(self, data: bytes) -> None:
        assert self.tls is not None  # noqa: S101
        self.tls.send(data)
        self._output += self.tls.output()

    def _read(self) -> bytes:
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        return data
