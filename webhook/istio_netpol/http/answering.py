"""Has threads answer requests that are complete, and gives their connections back to the loop."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus

import structlog

from istio_netpol.http.connection import Connection
from istio_netpol.http.lane import Lane
from istio_netpol.http.message import Answer, Request
from istio_netpol.http.wsgi import Application, call

STRANGERS_HOLD = 16
"""Threads that a client may hold before a review of it was answered."""

RESERVED = 32
"""Threads that no single client can hold."""

PROBE_THREADS = 2
"""For what is not a review: the kubelet's probes wait for no review, and for no lookup of one."""


class Answering:
    """Two lanes of threads, and a socket that is readable when they have something to give back."""

    def __init__(
        self,
        application: Application,
        server: tuple[str, int],
        threads: int,
        is_known: Callable[[str], bool],
    ) -> None:
        self._application = application
        self._server = server
        self._most = max(STRANGERS_HOLD, threads - RESERVED)
        self._is_known = is_known
        self._reviews = Lane("review", threads, self._may_hold, self._work)
        self._probes = Lane("probe", PROBE_THREADS, lambda _: 1, self._work)
        self._done: deque[tuple[Lane, Connection, bool]] = deque()
        self.awake, self._waker = socket.socketpair()
        for end in (self.awake, self._waker):
            end.setblocking(False)
        self._is_woken = False
        self._log = structlog.get_logger("server")
        self.is_last = False
        """Whether connections end with the answer that is being made."""

    def put(self, connection: Connection, request: Request) -> None:
        """Lines a request up."""
        (self._reviews if request.method == "POST" else self._probes).put(connection, request)

    def start(self) -> Iterator[Connection]:
        """Has free threads answer what waits, and gives out whose requests those are."""
        for lane in (self._probes, self._reviews):
            while connection := lane.start():
                yield connection

    def finished(self) -> Iterator[tuple[Connection, bool]]:
        """The connections whose answers were made, and whether their clients have gone."""
        with contextlib.suppress(BlockingIOError):
            self.awake.recv(4096)
        self._is_woken = False
        while self._done:
            lane, connection, is_gone = self._done.popleft()
            lane.finished(connection.address)
            yield connection, is_gone

    def wake(self) -> None:
        """Makes `awake` readable; for threads and signal handlers."""
        if not self._is_woken:
            self._is_woken = True
            # Where this would block, there is more than enough to wake it; after the end nobody listens.
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def stop(self) -> None:
        """Lets the threads end."""
        for lane in (self._reviews, self._probes):
            lane.stop()
        self.awake.close()
        self._waker.close()

    def _may_hold(self, address: str) -> int:
        return self._most if self._is_known(address) else STRANGERS_HOLD

    def _work(self, lane: Lane, connection: Connection, request: Request) -> None:
        """In a thread; the connection is its own until it is done."""
        is_gone = False
        try:
            answer = self._answer(connection, request)
            connection.is_proven |= request.method == "POST" and answer.status == HTTPStatus.OK
            connection.answer(answer, keep=not self.is_last)
        except EOFError:
            is_gone = True
        except Exception:
            self._log.exception("an answer can't be sent")
            is_gone = True
        self._done.append((lane, connection, is_gone))
        self.wake()

    def _answer(self, connection: Connection, request: Request) -> Answer:
        certificate = connection.tls.client_certificate if connection.tls else None
        try:
            return call(self._application, request, connection.address, self._server, certificate)
        except Exception:
            self._log.exception("unexpected error")
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, [("Content-Length", "0")], b"")
