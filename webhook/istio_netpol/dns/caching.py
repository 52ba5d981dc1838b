"""Keeps answers as long as DNS says, for all threads, and longer while a name server fails."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.dns.answers import Answers, Entry
from istio_netpol.dns.lookup import Lookup, LookupSettings
from istio_netpol.dns.pool import MOST_QUEUED, LookupPool
from istio_netpol.model.addresses import parse_address
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.shares import Shares

PASSING = frozenset({ResolutionStatus.TIMEOUT, ResolutionStatus.FAILED})
"""The lookup failed, not the name: an old answer is better."""

LONGEST_WAIT = 10.0
"""How many seconds a caller waits for one host."""

WAITING = 32
WAITING_EACH = 8
"""How many threads may wait at a time, in all and for one namespace: half of the threads that answer
reviews."""


class CacheSettings(Struct, frozen=True):
    """How long answers are kept, in seconds, and how many."""

    lookup: LookupSettings = field(default_factory=LookupSettings)
    shortest: int = 5
    longest: int = 3600
    failures: int = 10
    stale: int = 3600
    """How long an answer is kept beyond its time while name servers fail."""

    capacity: int = 8192
    capacity_each: int = 512
    """In all, and for each namespace that asks."""


class CachingResolver:
    """Implements `Resolver` with DNS. Threads that ask for the same host wait for one lookup, each no longer
    than it asked for. The lookup goes on without them, and its answer is kept."""

    def __init__(
        self, settings: CacheSettings | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings or CacheSettings()
        self._clock = clock
        self._lock = threading.Lock()
        self._answers = Answers(self._settings.capacity, self._settings.capacity_each)
        self._waiting = Shares(WAITING, WAITING_EACH)
        self._lookup = Lookup(self._settings.lookup)
        self._pool = LookupPool(self._look_up)

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The addresses of a host, from the cache while they are fresh; never raises."""
        literal = parse_address(host)
        if literal is not None:
            return Resolution(host, (literal,), ResolutionStatus.RESOLVED)
        name = host.rstrip(".").lower()
        entry = self._find(name, asker)
        if entry is not None and self._is_fresh(entry):
            return entry.answer
        promised = self._pool.ask(name, asker)
        if promised is None:
            reason = f"it was not looked up, since {MOST_QUEUED} other hosts of namespace {asker} wait for it"
            return self._meanwhile(name, entry, reason)
        patience = 0.0 if entry is not None and _is_silent(entry, seconds) else min(seconds, LONGEST_WAIT)
        with self._place(asker) as may_wait, contextlib.suppress(TimeoutError):
            return promised.result(patience if may_wait else 0.0)
        return self._meanwhile(name, entry, "DNS has not answered yet")

    @contextlib.contextmanager
    def _place(self, asker: str) -> Iterator[bool]:
        """Whether one more thread may wait for a host of this namespace, as a context: it counts while it
        waits."""
        with self._lock:
            may_wait = self._waiting.take(asker)
        try:
            yield may_wait
        finally:
            if may_wait:
                with self._lock:
                    self._waiting.give(asker)

    def _meanwhile(self, name: str, entry: Entry | None, reason: str) -> Resolution:
        """The answer that counts until there is a new one: the last, if it was good, or if the server was
        silent then."""
        if entry is not None and self._is_usable(entry):
            return replace(entry.answer, reason=f"these are old addresses, since {reason}")
        if entry is not None and entry.answer.status is ResolutionStatus.TIMEOUT:
            return entry.answer
        return Resolution(name, (), ResolutionStatus.PENDING, reason=reason)

    def _is_usable(self, entry: Entry) -> bool:
        return bool(entry.answer.addresses) and self._clock() < entry.usable_until

    def _find(self, name: str, asker: str) -> Entry | None:
        with self._lock:
            return self._answers.find(name, asker)

    def _is_fresh(self, entry: Entry) -> bool:
        return self._clock() < entry.fresh_until

    def _look_up(self, name: str, asker: str) -> Resolution:
        """Asks DNS, unless the answer came between a caller's look into the cache and its place in the
        queue."""
        entry = self._find(name, asker)
        if entry is not None and self._is_fresh(entry):
            return entry.answer
        return self._keep(name, asker, self._lookup.resolve(name))

    def _keep(self, name: str, asker: str, answer: Resolution) -> Resolution:
        """Takes an answer into the cache, or an old one out of it."""
        limits = self._settings
        with self._lock:
            now = self._clock()
            before = self._answers.find(name, asker)
            if before is not None and answer.status in PASSING and self._is_usable(before):
                reason = f"these are old addresses, since DNS fails: {answer.reason}"
                answer = replace(before.answer, reason=reason)
                lasts, usable_until = limits.failures, before.usable_until
            else:
                is_good = answer.status is ResolutionStatus.RESOLVED
                lasts = min(max(answer.ttl, limits.shortest), limits.longest) if is_good else limits.failures
                answer = replace(answer, ttl=lasts) if is_good else answer
                usable_until = now + lasts + limits.stale
            self._answers.put(name, asker, Entry(answer, now + lasts, usable_until))
        return answer


def _is_silent(entry: Entry, seconds: float) -> bool:
    """Whether waiting was in vain the last time. A caller in a hurry does not wait again."""
    return entry.answer.status is ResolutionStatus.TIMEOUT and seconds < LONGEST_WAIT
