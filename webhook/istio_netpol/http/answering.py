"""Which of the requests that are complete are answered, by whom, and where their answers come back."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus

import structlog

from istio_netpol.http.connection import Connection
from istio_netpol.http.crew import Crew
from istio_netpol.http.lane import Lane, Task
from istio_netpol.http.message import HttpRequest, HttpResponse
from istio_netpol.http.tenant import NO_TENANT, tenant_of
from istio_netpol.http.wsgi import Application, Caller, call

STRANGERS_HOLD = 16
"""Requests of a client that are answered at once, before a review of it was answered."""

RESERVED = 32
"""Places that no single client can hold."""

PROBES_AT_ONCE = 2
"""For what is not a review. The kubelet's probes have places of their own, which no review holds while it
waits for a lookup."""


class Answering:
    """Two lanes of requests, and a socket that is readable when a thread that no longer leads the loop has
    something to give back to it."""

    def __init__(
        self,
        application: Application,
        server: tuple[str, int],
        threads: int,
        is_known: Callable[[str], bool],
        crew: Crew,
    ) -> None:
        self._application = application
        self._server = server
        self._most = max(STRANGERS_HOLD, threads - RESERVED)
        self._is_known = is_known
        self._crew = crew
        self._reviews = Lane(threads, self._may_hold)
        self._probes = Lane(PROBES_AT_ONCE, lambda _: 1)
        self._lanes = deque([self._probes, self._reviews])
        """The one whose turn it is comes first. Who floods one of them leaves the other half of the time."""

        self._done: deque[Task] = deque()
        self.awake, self._waker = socket.socketpair()
        for end in (self.awake, self._waker):
            end.setblocking(False)
        self._is_woken = False
        self._log = structlog.get_logger("server")
        self.is_last = False
        """Whether connections end with the answer that is being made."""

    def put(self, connection: Connection, request: HttpRequest) -> None:
        """Lines a request up."""
        if request.method == "POST":
            self._reviews.put(connection, request, tenant_of(request.body))
        else:
            self._probes.put(connection, request, NO_TENANT)

    def take(self) -> Task | None:
        """The next request for which there is a place, to be answered at once."""
        for lane in tuple(self._lanes):
            if task := lane.take():
                self._lanes.remove(lane)
                self._lanes.append(lane)
                return task
        return None

    def answer(self, task: Task) -> bool:
        """Answers a request; whether this thread leads the loop still. If it does not, `finished` gives the
        request to the loop."""
        if self._crew.work(partial(self._work, task)):
            task.lane.finished(task.connection.address)
            return True
        self._done.append(task)
        self.wake()
        return False

    def finished(self) -> Iterator[Task]:
        """The requests that were answered after the lead was lost."""
        with contextlib.suppress(BlockingIOError):
            self.awake.recv(4096)
        self._is_woken = False
        while self._done:
            task = self._done.popleft()
            task.lane.finished(task.connection.address)
            yield task

    def wake(self) -> None:
        """Makes `awake` readable; for threads and signal handlers."""
        if not self._is_woken:
            self._is_woken = True
            # Where this would block, there is more than enough to wake it; after the end nobody listens.
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def stop(self) -> None:
        """Closes the socket."""
        self.awake.close()
        self._waker.close()

    def _may_hold(self, address: str) -> int:
        return self._most if self._is_known(address) else STRANGERS_HOLD

    def _work(self, task: Task) -> None:
        """The connection is this thread's until it is done."""
        connection, request = task.connection, task.request
        try:
            answer = self._answer_of(connection, request)
            connection.is_proven |= request.method == "POST" and answer.status == HTTPStatus.OK
            connection.answer(answer, keep=not self.is_last)
        except EOFError:
            task.is_gone = True
        except Exception:
            self._log.exception("a response could not be sent")
            task.is_gone = True

    def _answer_of(self, connection: Connection, request: HttpRequest) -> HttpResponse:
        certificate = connection.tls.client_certificate if connection.tls else None
        caller = Caller(connection.address, certificate, self._crew.give_way)
        try:
            return call(self._application, request, self._server, caller)
        except Exception:
            self._log.exception("unexpected error")
            return HttpResponse(HTTPStatus.INTERNAL_SERVER_ERROR, [("Content-Length", "0")], b"")
