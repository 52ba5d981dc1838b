"""Looks hosts up in threads in the background, for namespaces in turn.

A silent name server holds a thread for as long as a lookup may take. So each namespace has a queue of its
own, and only a few of its lookups run at a time: threads are always left for others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.shares import Shares

THREADS = 32
THREADS_EACH = 4
"""How many lookups of one namespace run at a time."""

MOST_QUEUED = 512
"""How many hosts of one namespace wait for their turn."""

IDLE_SECONDS = 30.0
"""A thread ends when it had nothing to do for so long."""


class LookupPool:
    """Looks hosts up. Every method may be called from any thread. Threads start when they are needed, so a
    pool may be made before a process forks.

    `lookup` says what a host stands for, for the namespace whose turn it is; everybody who waits for the
    host gets that.
    """

    def __init__(self, lookup: Callable[[str, str], Resolution]) -> None:
        self._lookup = lookup
        self._changed = threading.Condition()
        self._shares = Shares(THREADS, THREADS_EACH)
        self._queues: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        self._promised: dict[str, Future[Resolution]] = {}
        self._running: set[str] = set()
        self._threads = 0
        self._idle = 0
        self._log = structlog.get_logger("dns")

    def ask(self, host: str, asker: str) -> Future[Resolution] | None:
        """The answer that will come; None where too many hosts of the asker wait. A host for which others
        wait too is looked up once, when the first of them has its turn."""
        with self._changed:
            promised = self._promised.get(host)
            if promised is not None and host in self._running:
                return promised
            queue = self._queues.setdefault(asker, OrderedDict())
            if host not in queue and len(queue) >= MOST_QUEUED:
                return promised
            queue[host] = None
            if promised is None:
                promised = self._promised[host] = Future()
            if self._idle < len(self._promised) - len(self._running) and self._threads < THREADS:
                self._threads += 1
                threading.Thread(target=self._run, name="dns", daemon=True).start()
            self._changed.notify()
            return promised

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            host, asker = turn
            answer = self._answer(host, asker)
            with self._changed:
                self._shares.give(asker)
                self._running.discard(host)
                promised = self._promised.pop(host)
                self._changed.notify()
            promised.set_result(answer)

    def _answer(self, host: str, asker: str) -> Resolution:
        """Looks one host up. Whatever goes wrong, those who wait get an answer, and the thread goes on."""
        try:
            return self._lookup(host, asker)
        except Exception as error:
            self._log.exception("a host could not be looked up", host=host, exc_info=error)
            reason = "an error inside istio-netpol; its log has the details"
            return Resolution(host, (), ResolutionStatus.FAILED, reason=reason)

    def _next(self) -> tuple[str, str] | None:
        """The host to look up, and for whom; None where there was nothing to do for a while."""
        with self._changed:
            is_called = True
            while (turn := self._turn()) is None and is_called:
                self._idle += 1
                is_called = self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
            if turn is None:
                self._threads -= 1
            return turn

    def _turn(self) -> tuple[str, str] | None:
        """The next host of the first namespace that may have one more looked up. That namespace is the last
        one then."""
        for asker in list(self._queues):
            queue = self._queues[asker]
            while queue and not self._is_due(next(iter(queue))):
                queue.popitem(last=False)
            if not queue:
                del self._queues[asker]
            elif self._shares.take(asker):
                host, _ = queue.popitem(last=False)
                self._running.add(host)
                self._queues.move_to_end(asker)
                return host, asker
        return None

    def _is_due(self, host: str) -> bool:
        """Whether nobody else's turn brought the answer."""
        return host in self._promised and host not in self._running
