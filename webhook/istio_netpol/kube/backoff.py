"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
CALM_SECONDS = 60.0
"""After so long without trouble, the next wait is a first one again."""


class Backoff:
    """Waits that double, each drawn at random below its limit, so that many clients of a server that comes
    back do not all come at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limit = FIRST_SECONDS
        self._failed_at = clock() - CALM_SECONDS
        self._random = random.Random()  # noqa: S311 (spreads clients, guards nothing)

    def next_wait(self) -> float:
        """Seconds to wait after a failure."""
        now = self._clock()
        calm = now - self._failed_at >= CALM_SECONDS + self._limit
        self._limit = FIRST_SECONDS if calm else min(LONGEST_SECONDS, self._limit * 2)
        self._failed_at = now
        return self._random.uniform(self._limit / 2, self._limit)

    def succeeded(self) -> None:
        """Begins anew: what failed works again."""
        self._limit = FIRST_SECONDS
        self._failed_at = self._clock() - CALM_SECONDS - LONGEST_SECONDS
