"""The map of the cluster as it is now, worked out while somebody looks, with rests for the reviews."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.dns.budget import Budget
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.resolution import Resolver
from istio_netpol.report.map_document import map_document
from istio_netpol.web.live import Published

REST = 10.0
"""For how many times as long as it took to work the map out nothing is worked out: reviews go before, and
share one interpreter with it."""

LEAST_REST_SECONDS = 3.0
LOOKUP_SECONDS = 1.0


class MapOnDemand:
    """Works the map out when somebody asks for it and what decisions go by has changed. Every method may be
    called from any thread."""

    def __init__(
        self,
        table: Callable[[], FlowTable | None],
        resolver: Resolver,
        title: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._resolver = resolver
        self._title = title
        self._clock = clock
        self._working = threading.Lock()
        self._drawn: FlowTable | None = None
        self._published: Published | None = None
        self._rests_until = 0.0

    def namespaces(self) -> tuple[str, ...]:
        """The names of all namespaces on the newest map; empty while the cluster is not read."""
        published = self.newest()
        return tuple(namespace["name"] for namespace in published.document["namespaces"]) if published else ()

    def newest(self) -> Published | None:
        """The map of everything; None while the cluster is not read. One thread works it out; the others take
        the last one meanwhile."""
        table = self._table()
        if table is None:
            return None
        if not self._is_due(table) or not self._working.acquire(blocking=self._published is None):
            return self._published
        try:
            if self._is_due(table):
                self._work_out(table)
        finally:
            self._working.release()
        return self._published

    def _is_due(self, table: FlowTable) -> bool:
        return self._published is None or (table is not self._drawn and self._clock() >= self._rests_until)

    def _work_out(self, table: FlowTable) -> None:
        started = self._clock()
        found = facts(Given(table.stored), table.settings, Budget(self._resolver, LOOKUP_SECONDS))
        published = Published(map_document(found, title=self._title))
        took = self._clock() - started
        self._rests_until = self._clock() + max(LEAST_REST_SECONDS, REST * took)
        self._published, self._drawn = published, table
