"""A limit on the time that one analysis waits for DNS.

A single lookup is short, but a tenant may write hundreds of hosts into one object, each of them slow. The API
server waits for them, and so does every other request behind it.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable

from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver


class Budget:
    """Implements `Resolver` with another one, for which it waits at most `seconds` in all, and
    `per_namespace` for the hosts of one namespace. After that it still asks for what the other one knows
    without waiting."""

    def __init__(
        self,
        resolver: Resolver,
        seconds: float,
        per_namespace: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._per_namespace = per_namespace
        self._clock = clock
        self._taken: defaultdict[str, float] = defaultdict(float)
        self.is_complete = True
        """Whether every answer came in time."""

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The other resolver's answer; never raises."""
        left = min(
            self._seconds - sum(self._taken.values()), self._per_namespace - self._taken[asker], seconds
        )
        started = self._clock()
        try:
            answer = self._resolver.resolve(host, asker, max(left, 0.0))
        finally:
            self._taken[asker] += self._clock() - started
        self.is_complete &= answer.status is not ResolutionStatus.PENDING
        return answer
