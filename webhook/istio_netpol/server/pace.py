"""When changes of the cluster are taken in: in batches, and after the reviews that are under way."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

BATCH_SECONDS = 0.02
"""What comes so close together is taken in at once: the objects of one `kubectl apply`, a rollout's pods."""

SHARE, REST_SECONDS = 0.025, 0.05
"""The part of one core that taking changes in may use while few come, and the longest pause for that: one pod
alone costs as much as two or three of a batch."""

MOST_SECONDS = 0.1
"""However busy the webhook is, no change waits for longer until it is taken in: by then a batch is so large
that waiting saves nothing more, and whoever changed something has not had the time to ask what it changed."""

GLANCE_SECONDS = 0.005
"""How often it is looked whether the reviews that are under way are answered."""


class Pace:
    """Says when a batch of changes is taken in, to one thread. Under load batches become larger and fewer:
    that costs less in all, and reviews find the interpreter free more often.

    `is_busy` tells whether a review is under way.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._is_busy = is_busy
        self._clock = clock
        self._hurried = threading.Event()
        self._sleep = sleep or self._hurried.wait
        self._pause = sleep or time.sleep
        self._used = used
        self._rested_at = 0.0
        self._hurries_from = 0.0

    def hurry(self) -> None:
        """Has the changes that wait be taken in now, or BATCH_SECONDS after the last batch: whoever asks
        without a break does not make batches smaller than that. For any thread to call."""
        self._hurried.set()

    def wait(self, since: float) -> None:
        """Returns when changes should be taken in of which the first was heard of at `since`."""
        ends = since + MOST_SECONDS
        now = self._clock()
        until = min(max(now + BATCH_SECONDS, self._rested_at), ends)
        while not self._hurried.is_set() and (now < until or (now < ends and self._is_busy())):
            self._sleep(max(until - now, min(GLANCE_SECONDS, ends - now)))
            now = self._clock()
        if (pause := min(self._hurries_from, ends) - now) > 0:
            self._pause(pause)
        self._hurried.clear()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """A batch is taken in within the block; what that costs decides for how long nothing follows it."""
        used = self._used()
        try:
            yield
        finally:
            now = self._clock()
            self._rested_at = now + min((self._used() - used) / SHARE, REST_SECONDS)
            self._hurries_from = now + BATCH_SECONDS
