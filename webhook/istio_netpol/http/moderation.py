"""A log in which clients can cause lines, but can't fill it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

MINUTE = 60.0

MOST_LINES = 20
"""In a minute, whoever the clients are; what comes beyond is counted."""

OTHERS = "others"


class ModeratedLog:
    """Of each client and kind of event, the first in a minute is logged as it comes, and when the minute is
    over, how many more there were. Any thread may use it."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger(name)
        self._clock = clock
        self._lock = threading.Lock()
        self._since = float("-inf")
        self._lines = 0
        self._more: Counter[tuple[str, str, str]] = Counter()

    def tell(self, event: str, client: str, kind: str, **fields: object) -> None:
        """Something that a client did."""
        self.summarize()
        key = (event, client, kind)
        with self._lock:
            is_first = key not in self._more
            if is_first and self._lines >= MOST_LINES:
                self._more[event, OTHERS, kind] += 1
                return
            self._more[key] += 0 if is_first else 1
            self._lines += is_first
        if is_first:
            self._log.warning(event, client=client, kind=kind, **fields)

    def summarize(self) -> None:
        """Once a minute: how many more there were."""
        now = self._clock()
        with self._lock:
            if now - self._since < MINUTE:
                return
            more, self._more = self._more, Counter()
            self._since, self._lines = now, 0
        for (event, client, kind), count in more.items():
            if count:
                self._log.warning(f"{event}, and more", client=client, kind=kind, count=count)
