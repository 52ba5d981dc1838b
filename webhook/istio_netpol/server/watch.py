"""Keeps the reviewer's table fresh, and adds what namespaces in mode augment lack."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from istio_netpol.admission.reconcile import missing_policies
from istio_netpol.analysis.flow_table import FlowTable
from istio_netpol.dns.budget import Budget
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.server.folder_source import FolderSource
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.reviewer import Reviewer

LOOK_SECONDS = 0.25
LOOKUP_SECONDS = 20.0
"""How long all lookups for one snapshot may take, far below the age at which it counts as stale."""


class Watch:
    """A thread that looks at the folder four times a second."""

    def __init__(
        self,
        source: FolderSource,
        reviewer: Reviewer,
        resolver: Resolver,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._reviewer = reviewer
        self._resolver = resolver
        self._settings = settings
        self._metrics = metrics
        self._stopped = threading.Event()
        self._log = structlog.get_logger("source")

    def start(self) -> None:
        """Starts looking; returns at once."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread at its next look."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._guarded(self.look)
            self._stopped.wait(LOOK_SECONDS)

    def look(self) -> None:
        """One look: a changed folder becomes the table to decide by, and gets the policies it lacks."""
        if not self._source.refresh():
            return
        state = self._source.state()
        self._metrics.loaded(good=not state.problems)
        if state.problems:
            for problem in state.problems:
                self._log.error("the source is broken; the last good state is kept", problem=problem)
            return
        table = FlowTable.of(state.snapshot, self._settings)
        self._reviewer.take(table)
        self._log.info("the source was read", objects=state.snapshot.object_count)
        self._complete(table)

    def _complete(self, table: FlowTable) -> None:
        resolver = Budget(self._resolver, LOOKUP_SECONDS)
        results = self._reviewer.store(missing_policies(table, resolver))
        self._metrics.stored(results)
        for each in results:
            if each.written:
                self._log.info("policy added", policy=each.policy.key)
            else:
                self._log.error("policy not added", policy=each.policy.key, reason=each.refused)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong, the next look comes; the last good table stays."""
        try:
            work()
        except Exception as error:
            self._log.exception("the source could not be taken in", exc_info=error)
