"""The maps of readers who may see some namespaces, made one at a time and with rests between."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from istio_netpol.report.map_restricted import restricted
from istio_netpol.web.live import Published, SentDocument

MOST_PARTS = 64
"""Parts that are kept: readers with the same rights share one."""

REST = 3.0
"""The pause after making a part, as a multiple of the time that it took."""


class Parts:
    """Keeps parts of the newest map, as bytes and of no older map: what it holds does not grow with changes
    of the cluster. Every method may be called from any thread."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._making = threading.Lock()
        self._lock = threading.Lock()
        self._whole: Published | None = None
        self._kept: OrderedDict[frozenset[str], SentDocument] = OrderedDict()
        self._rests_until = 0.0

    def of(self, whole: Published, namespaces: frozenset[str]) -> SentDocument:
        """What is sent to a reader who may see these namespaces."""
        found = self._found(whole, namespaces)
        if found is not None:
            return found
        with self._making:
            found = self._found(whole, namespaces)
            return found or self._made(whole, namespaces)

    def _found(self, whole: Published, namespaces: frozenset[str]) -> SentDocument | None:
        with self._lock:
            if whole is not self._whole:
                return None
            found = self._kept.get(namespaces)
            if found is not None:
                self._kept.move_to_end(namespaces)
            return found

    def _made(self, whole: Published, namespaces: frozenset[str]) -> SentDocument:
        self._sleep(max(0.0, self._rests_until - self._clock()))
        started = self._clock()
        made = SentDocument.of(restricted(whole.document, namespaces))
        self._rests_until = self._clock() + REST * (self._clock() - started)
        with self._lock:
            if whole is not self._whole:
                self._whole = whole
                self._kept.clear()
            self._kept[namespaces] = made
            if len(self._kept) > MOST_PARTS:
                self._kept.popitem(last=False)
        return made
