"""Reviews of many namespaces take turns, so that none waits for all of another one's."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver
from istio_netpol.shares import Shares
from istio_netpol.turns import Turns


class Turnstile:
    """Lets so many threads at a time do their work, a few of them for each namespace; who waits is let in in
    turn by namespace, and within one in the order of coming. Every method may be called from any thread."""

    def __init__(self, total: int, each: int) -> None:
        self._lock = threading.Lock()
        self._shares = Shares(total, each)
        self._mine = threading.local()
        self._waiting: Turns[str, threading.Lock] = Turns()

    @property
    def is_busy(self) -> bool:
        """Whether somebody has a turn, and so perhaps others wait."""
        return self._shares.in_use

    @contextlib.contextmanager
    def turn(self, namespace: str, give_way: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Waits for a turn of the namespace, which lasts as long as the block; one in a thread. `give_way` is
        called before this thread waits for anything."""
        self._mine.give_way = give_way
        self._begin(namespace)
        self._mine.namespace = namespace
        try:
            yield
        finally:
            del self._mine.namespace
            self._end(namespace)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Lets others have this thread's turn, if it has one, while it waits for something within the block,
        and waits for a new one then."""
        namespace: str | None = getattr(self._mine, "namespace", None)
        if namespace is None:
            yield
            return
        self._end(namespace)
        try:
            self._mine.give_way()
            yield
        finally:
            self._begin(namespace)

    def _begin(self, namespace: str) -> None:
        with self._lock:
            gate = None if namespace not in self._waiting and self._shares.take(namespace) else _closed()
            if gate is not None:
                self._waiting.put(namespace, gate)
        if gate is not None:
            self._mine.give_way()
            gate.acquire()

    def _end(self, namespace: str) -> None:
        with self._lock:
            self._shares.give(namespace)
            while (gate := self._waiting.take(self._shares.take)) is not None:
                gate.release()


class WaitingAside:
    """Implements `Resolver` with another one; who waits for it holds no turn meanwhile."""

    def __init__(self, resolver: Resolver, turnstile: Turnstile) -> None:
        self._resolver = resolver
        self._turnstile = turnstile

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The other resolver's answer; never raises."""
        known = self._resolver.resolve(host, asker, 0.0)
        is_fresh = known.status is ResolutionStatus.RESOLVED and not known.reason
        if is_fresh or seconds <= 0:
            return known
        with self._turnstile.aside():
            return self._resolver.resolve(host, asker, seconds)


def _closed() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate
