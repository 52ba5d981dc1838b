"""Answers that are kept as long as DNS says, shared by threads, and outlive a name server that fails."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from istio_netpol.dns.lookup import Lookup, LookupSettings
from istio_netpol.model.addresses import parse_address
from istio_netpol.model.resolution import Resolution, ResolutionStatus

PASSING = frozenset({ResolutionStatus.TIMEOUT, ResolutionStatus.FAILED})
"""Failures of the asking, not of the name: an old answer beats them."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How long answers are kept, in seconds, and how many."""

    lookup: LookupSettings = field(default_factory=LookupSettings)
    shortest: int = 5
    longest: int = 3600
    failures: int = 10
    stale: int = 3600
    """How long an answer outlives its time while name servers fail."""

    capacity: int = 4096


@dataclass(slots=True)
class _Entry:
    answer: Resolution
    fresh_until: float
    usable_until: float


class CachingResolver:
    """Implements `Resolver` with DNS. Threads that ask for the same host wait for one lookup."""

    def __init__(
        self, settings: CacheSettings | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings or CacheSettings()
        self._clock = clock
        self._lookup = Lookup(self._settings.lookup)
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._running: dict[str, Future[Resolution]] = {}

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The addresses of a host, from the cache while they are fresh; never raises."""
        literal = parse_address(host)
        if literal is not None:
            return Resolution(host, (literal,), ResolutionStatus.RESOLVED)
        name = host.rstrip(".").lower()
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and self._clock() < entry.fresh_until:
                self._entries.move_to_end(name)
                return entry.answer
            running = self._running.get(name)
            mine: Future[Resolution] = Future()
            if running is None:
                self._running[name] = mine
        return self._ask(name, mine) if running is None else running.result()

    def _ask(self, name: str, promised: Future[Resolution]) -> Resolution:
        answer = Resolution(name, (), ResolutionStatus.FAILED, reason="the lookup was interrupted")
        try:
            answer = self._lookup.resolve(name)
        finally:
            with self._lock:
                answer = self._keep(name, answer)
                del self._running[name]
            promised.set_result(answer)
        return answer

    def _keep(self, name: str, answer: Resolution) -> Resolution:
        """Takes an answer into the cache, or an old one out of it."""
        now = self._clock()
        before = self._entries.pop(name, None)
        is_usable = before is not None and before.answer.addresses and now < before.usable_until
        if before is not None and is_usable and answer.status in PASSING:
            reason = f"these are old addresses, since DNS fails: {answer.reason}"
            answer = replace(before.answer, reason=reason)
            self._entries[name] = _Entry(answer, now + self._settings.failures, before.usable_until)
            return answer
        limits = self._settings
        is_good = answer.status is ResolutionStatus.RESOLVED
        lasts = min(max(answer.ttl, limits.shortest), limits.longest) if is_good else limits.failures
        if is_good:
            answer = replace(answer, ttl=lasts)
        self._entries[name] = _Entry(answer, now + lasts, now + lasts + limits.stale)
        if len(self._entries) > limits.capacity:
            self._entries.popitem(last=False)
        return answer
