"""A limit on the time that all lookups of one analysis take together.

A single lookup is short, but a tenant may write hundreds of hosts into one object, each of them slow. Who
waits is the API server, and every other request behind it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver


class Budget:
    """Implements `Resolver` with another one, which is not asked any more once it has taken `seconds`."""

    def __init__(
        self, resolver: Resolver, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._clock = clock
        self._taken = 0.0

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The other resolver's answer, while there is time left; never raises."""
        if self._taken >= self._seconds:
            reason = f"it was not looked up, since other hosts took more than {self._seconds:g} s"
            return Resolution(host, (), ResolutionStatus.TIMEOUT, reason=reason)
        started = self._clock()
        try:
            return self._resolver.resolve(host, asker, seconds)
        finally:
            self._taken += self._clock() - started
