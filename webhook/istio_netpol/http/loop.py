"""The loop of the server: it accepts, reads and answers for everybody, and waits for nobody."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ, DefaultSelector

import structlog
from msgspec import Struct

from istio_netpol.http.answering import Answering
from istio_netpol.http.clients import Clients
from istio_netpol.http.connection import AT_WORK, LINGER_SECONDS, Connection, Phase, reset
from istio_netpol.http.crew import Crew
from istio_netpol.http.lane import Task
from istio_netpol.http.limits import Limits
from istio_netpol.http.message import RefusedError
from istio_netpol.http.refusals import Reason, Refusals
from istio_netpol.http.wsgi import Application
from istio_netpol.runtime.listening import BACKLOG
from istio_netpol.turns import in_turns

TURN_SECONDS = 0.005
"""After which the loop looks who else has come; everybody had a turn by then."""

MOST_ACCEPTS = 64
"""New connections in one turn."""

SWEEP_SECONDS = 0.25
"""How often deadlines are looked at."""

STOPPING_SECONDS = 2.0
"""How long a connection on which nothing is under way stays open when the server stops, for a request that
may be on its way."""


class Site(Struct, frozen=True):
    """What is served where: listening sockets, the certificate of the next connection, the application."""

    listeners: Sequence[socket.socket]
    context: Callable[[], ssl.SSLContext]
    application: Application


class EventLoop:
    """Owns all connections but for those whose request is being answered. Its turns are taken by one thread
    at a time, see `Crew`."""

    def __init__(self, site: Site, limits: Limits, refusals: Refusals) -> None:
        self._site = site
        self._limits = limits
        self._refusals = refusals
        self._clients = Clients(limits)
        self._poller = DefaultSelector()
        server: tuple[str, int] = site.listeners[0].getsockname()[:2]
        self._crew = Crew("serve-https")
        self._answering = Answering(site.application, server, limits.threads, self._is_known, self._crew)
        self._again: dict[Connection, None] = {}
        self._has_tasks = False
        """Whether the last turn may have left something that can be answered."""

        self._swept = 0.0
        self._is_stopping = False
        self._log = structlog.get_logger("server")

    def run(self, is_alive: Callable[[], bool]) -> None:
        """Serves while `is_alive`, which is asked about four times a second."""
        self._poller.register(self._answering.awake, EVENT_READ, self._finish)
        for listener in self._site.listeners:
            listener.setblocking(False)
            self._poller.register(listener, EVENT_READ, partial(self._accept, listener))
        self._crew.lead(self._turn, is_alive)

    def stop(self, is_alive: Callable[[], bool], seconds: float) -> None:
        """Closes the port: who comes later is refused at once, and can ask another replica. Answers what is
        under way, within `seconds`."""
        try:
            self._close(is_alive, seconds)
        finally:
            self._crew.end()

    def _close(self, is_alive: Callable[[], bool], seconds: float) -> None:
        self._is_stopping = self._answering.is_last = True
        for listener in self._site.listeners:
            for _ in range(BACKLOG // MOST_ACCEPTS):
                self._accept(listener)
            self._poller.unregister(listener)
            listener.close()
        for connection in self._clients.all():
            connection.deadline = min(connection.deadline, self._deadline(connection.phase, time.monotonic()))
        ends = time.monotonic() + seconds
        self._crew.lead(
            self._turn, lambda: bool(self._clients.count) and time.monotonic() < ends and is_alive()
        )
        for connection in list(self._clients.all()):
            self._drop(connection)
        self._poller.close()
        self._answering.stop()

    def wake(self) -> None:
        """Has the loop look at once; for signal handlers."""
        self._answering.wake()

    def _turn(self) -> None:
        """Waits until something is ready, gives every client that has something a turn, and another one while
        there is time, and answers what is complete."""
        events = self._poller.select(0 if self._again or self._has_tasks else SWEEP_SECONDS)
        ready = [(connection.address, connection) for connection in self._again]
        for key, _ in events:
            if isinstance(key.data, Connection):
                if key.data not in self._again:
                    ready.append((key.data.address, key.data))
            else:
                self._guarded(key.data)
        ends = time.monotonic() + TURN_SECONDS
        served: set[str] = set()
        for connection in in_turns(ready):
            if connection.address in served and time.monotonic() > ends:
                break
            served.add(connection.address)
            self._serve(connection)
        if time.monotonic() - self._swept >= SWEEP_SECONDS:
            self._guarded(self._sweep)
        self._refusals.open = self._clients.count
        self._guarded(self._answer)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Does something after which the loop goes on, whatever became of it."""
        try:
            work()
        except Exception:
            self._log.exception("unexpected error")

    # ---- connections come

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MOST_ACCEPTS):
            try:
                accepted, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                self._make_room(None)  # There are too few file descriptors, or too little memory.
                return
            self._admit(accepted, address[0])

    def _admit(self, accepted: socket.socket, address: str) -> None:
        if not self._clients.of(address).may_connect(time.monotonic()):
            self._refusals.refused(Reason.RATE, address)
            reset(accepted)
            return
        if not self._make_room(address):
            reset(accepted)
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(accepted, address, self._limits.request_bytes)
        self._clients.joined(connection)
        self._enter(connection, Phase.HANDSHAKE)
        self._watch(connection)

    def _make_room(self, address: str | None) -> bool:
        """Closes a connection where one from there would be too many, or, without an address, in any case.
        Whether there is room then."""
        now = time.monotonic()
        if address and self._clients.is_crowded(address):
            reason, yields = Reason.CLIENT_LIMIT, self._clients.of(address).yields
        elif address is None or self._clients.is_full:
            reason, yields = Reason.TOTAL_LIMIT, self._clients.yields(now)
        else:
            return True
        if yields:
            self._drop(yields, reason)
        elif address:
            self._refusals.refused(reason, address)
        return yields is not None

    # ---- and are served

    def _serve(self, connection: Connection) -> None:
        """Does what can be done for a connection without waiting."""
        if connection.phase is Phase.CLOSED:
            return  # Within this turn, for another one.
        self._again.pop(connection, None)
        try:
            self._step(connection)
        except EOFError:
            self._drop(connection)
        except ssl.SSLError as error:
            self._refusals.refused(Reason.TLS, connection.address, str(error))
            self._linger(connection)
        except RefusedError as refusal:
            self._refuse(connection, refusal)
        except Exception:
            self._log.exception("unexpected error")
            self._drop(connection)

    def _step(self, connection: Connection) -> None:
        if connection.phase in AT_WORK:
            pass  # A thread has it: nothing of it may be touched, and until then nothing is reported.
        elif connection.has_output:
            connection.flush()
            if connection.phase is Phase.SENDING:
                self._sent(connection)
        elif connection.phase is Phase.LINGERING:
            connection.discard()
        else:
            self._receive(connection)
            if connection.phase in AT_WORK:
                return  # Its client sends nothing before it has the answer: most need no change.
        self._watch(connection)

    def _receive(self, connection: Connection) -> None:
        request = connection.receive(self._site.context)
        connection.flush()
        exchange = connection.exchange
        self._clients.holds(connection, len(request.body) if request else exchange.held)
        if request:
            self._enter(connection, Phase.WAITING)
            self._answering.put(connection, request)
        elif connection.phase is Phase.HANDSHAKE and connection.tls and connection.tls.is_open:
            self._enter(connection, Phase.IDLE)
        if connection.phase is Phase.IDLE and exchange.has_begun:
            self._enter(connection, Phase.RECEIVING)
        if connection.has_more and connection.phase not in AT_WORK:
            self._again[connection] = None
        self._bound_memory()

    def _bound_memory(self) -> None:
        while self._clients.held > self._limits.buffered_bytes:
            heaviest = self._clients.heaviest(time.monotonic())
            if heaviest is None:
                return
            self._drop(heaviest, Reason.MEMORY)

    def _refuse(self, connection: Connection, refusal: RefusedError, reason: Reason = Reason.REQUEST) -> None:
        """Answers with an error and ends the connection."""
        self._refusals.refused(reason, connection.address, refusal.sentence)
        self._clients.holds(connection, 0)
        try:
            connection.refuse(refusal)
        except (EOFError, ssl.SSLError):
            self._drop(connection)
        else:
            self._enter(connection, Phase.SENDING)
            self._sent(connection)
            self._watch(connection)

    def _sent(self, connection: Connection) -> None:
        """Goes on after an answer, once the client has taken all of it."""
        if connection.has_output:
            return
        if not connection.is_kept:
            self._linger(connection)
            return
        self._enter(connection, Phase.IDLE)
        if connection.has_more:
            self._again[connection] = None

    def _linger(self, connection: Connection) -> None:
        self._clients.holds(connection, 0)
        self._again.pop(connection, None)
        connection.half_close()
        self._enter(connection, Phase.LINGERING)
        self._watch(connection)

    # ---- and answered

    def _is_known(self, address: str) -> bool:
        return self._clients.of(address).is_known(time.monotonic())

    def _answer(self) -> None:
        """Answers what waits, for as long as a turn lasts and this thread leads."""
        ends = time.monotonic() + TURN_SECONDS
        self._has_tasks = True
        while task := self._answering.take():
            self._clients.holds(task.connection, 0)
            if not self._answering.answer(task):
                return  # From here on, what is the loop's is another thread's.
            self._settle(task)
            if time.monotonic() > ends:
                return
        self._has_tasks = False

    def _finish(self) -> None:
        """Takes back the connections whose answers were made by threads that had lost the lead."""
        for task in self._answering.finished():
            self._settle(task)

    def _settle(self, task: Task) -> None:
        """Has one connection go on; whatever becomes of it, the others' answers are looked at, too."""
        try:
            self._answered(task)
        except Exception:
            self._log.exception("unexpected error")
            self._drop(task.connection)

    def _answered(self, task: Task) -> None:
        connection = task.connection
        if connection.is_proven:
            self._clients.of(connection.address).answered(time.monotonic())
        if task.is_gone:
            self._drop(connection)
            return
        if connection.has_output:
            self._enter(connection, Phase.SENDING)
        else:
            self._sent(connection)
        self._watch(connection)

    # ---- and end

    def _enter(self, connection: Connection, phase: Phase) -> None:
        connection.phase = phase
        connection.deadline = self._deadline(phase, time.monotonic())
        self._clients.moved(connection)

    def _deadline(self, phase: Phase, now: float) -> float:
        if phase in {Phase.IDLE, Phase.HANDSHAKE, Phase.LINGERING} and self._is_stopping:
            return now + STOPPING_SECONDS
        if phase is Phase.IDLE:
            return now + self._limits.idle_seconds
        return now + (LINGER_SECONDS if phase is Phase.LINGERING else self._limits.request_seconds)

    def _sweep(self) -> None:
        """Ends connections and requests that are past their deadline."""
        now = self._swept = time.monotonic()
        for connection in list(self._late(now)):
            self._expire(connection)
        self._clients.forget_strangers(now)
        self._refusals.summarize()

    def _late(self, now: float) -> Iterator[Connection]:
        for connection in self._clients.all():
            if connection.deadline <= now and connection.phase is not Phase.WORKING:
                yield connection

    def _expire(self, connection: Connection) -> None:
        seconds = f"{self._limits.request_seconds:g} seconds"
        if connection.phase is Phase.RECEIVING:
            sentence = f"the request was not complete after {seconds}"
            self._refuse(connection, RefusedError(HTTPStatus.BAD_REQUEST, sentence), Reason.SLOW)
        elif connection.phase is Phase.WAITING:
            sentence = f"the webhook had no time for the request within {seconds}"
            self._refuse(connection, RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence), Reason.SLOW)
        elif connection.phase is Phase.HANDSHAKE:
            self._refusals.refused(Reason.SLOW, connection.address, "the handshake")
            self._linger(connection)
        else:
            self._drop(connection, Reason.SLOW if connection.phase is Phase.SENDING else None)

    def _drop(self, connection: Connection, reason: Reason | None = None) -> None:
        """Closes a connection at once."""
        if reason:
            self._refusals.refused(reason, connection.address)
        connection.phase = Phase.CLOSED
        self._watch(connection)
        if reason:
            reset(connection.socket)
        else:
            connection.socket.close()
        self._again.pop(connection, None)
        self._clients.left(connection)

    def _watch(self, connection: Connection) -> None:
        """Has the poller report what matters now."""
        wanted = connection.wanted
        if wanted == connection.watched:
            return
        if not connection.watched:
            self._poller.register(connection.socket, wanted, connection)
        elif wanted:
            self._poller.modify(connection.socket, wanted, connection)
        else:
            self._poller.unregister(connection.socket)
        connection.watched = wanted
