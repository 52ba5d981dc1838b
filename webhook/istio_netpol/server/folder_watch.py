"""Keeps the reviewer's table fresh, and adds what namespaces in mode augment lack."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from istio_netpol.admission.reconcile import missing_policies
from istio_netpol.dns.budget import Budget
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.runtime.failure_log import FailureLog
from istio_netpol.runtime.garbage import keep_what_is_left
from istio_netpol.runtime.guarded import Guarded
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.sources.folder_source import FolderSource

LOOK_SECONDS = 0.25
LOOKUP_SECONDS = 5.0
LOOKUP_SECONDS_EACH = 1.0
"""How long a look waits for DNS in all, and for the hosts of one namespace."""

LOOK_SHARE = 0.025
"""The part of one core that looking may take: a folder of 5,000 files, at some 20 ms a look, is looked at
about once a second."""

SELDOM_SECONDS = 5.0
"""However slow the folder is, it is looked at this often."""

RETRY_SECONDS = 10.0
"""After how long a policy that could not be written is tried again, and a host that was not resolved in time
is asked for again."""


class Watch:
    """A thread that looks at the folder four times a second, less often where that would cost much. `tidy` is
    called when a new table took the place of the last one."""

    def __init__(
        self,
        source: FolderSource,
        reviewer: Reviewer,
        resolver: Resolver,
        settings: Settings,
        metrics: Metrics,
        tidy: Callable[[], None] = keep_what_is_left,
    ) -> None:
        self._source = source
        self._reviewer = reviewer
        self._resolver = resolver
        self._settings = settings
        self._metrics = metrics
        self._tidy = tidy
        self._guarded = Guarded("source", "the source could not be taken in", metrics.errored)
        self._cost = 0.0
        self._is_untaken = False
        self._unwritten: tuple[FlowTable, float] | None = None
        self._log = structlog.get_logger("source")
        self._failures = FailureLog("source")

    @property
    def failure(self) -> str:
        """Why the newest snapshot is not what decisions go by; empty where it is."""
        return self._guarded.problem

    @property
    def lag(self) -> float:
        """0: a change of the folder is seen by looking, and taken in by the same look."""
        return 0.0

    def start(self) -> None:
        """Starts looking, for as long as the process lives; returns at once."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._guarded:  # the last good table stays
                self.look()
            rest = min(max(LOOK_SECONDS, self._cost / LOOK_SHARE), SELDOM_SECONDS)
            time.sleep(max(LOOK_SECONDS if self._source.is_settling else rest, self._guarded.wait))

    def look(self) -> None:
        """One look: a changed folder becomes the table to decide by, and gets the policies it lacks."""
        started = time.perf_counter()
        if not self._source.refresh() and not self._is_untaken:
            self._cost = time.perf_counter() - started
            self._retry()
            return
        state = self._source.state()
        self._metrics.loaded(good=not state.problems)
        if state.problems:
            for problem in state.problems:
                self._log.error("the source is broken; the last good state is kept", problem=problem)
            return
        self._is_untaken = True
        table = FlowTable.of(state.snapshot, self._settings).indexed()
        self._reviewer.take(table)
        self._is_untaken = False
        self._failures.tell(table.failures)
        self._metrics.not_judged.set(len(table.failures))
        self._tidy()
        self._log.info("the source was read", objects=state.snapshot.object_count)
        for remark in state.remarks:
            self._log.warning("the source was not read as it stands", remark=remark)
        self._complete(table)

    def _retry(self) -> None:
        if self._unwritten and time.monotonic() - self._unwritten[1] >= RETRY_SECONDS:
            self._complete(self._unwritten[0])

    def _complete(self, table: FlowTable) -> None:
        self._unwritten = (table, time.monotonic())
        resolver = Budget(self._resolver, LOOKUP_SECONDS, LOOKUP_SECONDS_EACH)
        results = self._reviewer.store(missing_policies(table, resolver))
        self._metrics.stored(results)
        is_complete = resolver.is_complete and all(result.written for result in results)
        if is_complete:
            self._unwritten = None
        for result in results:
            if result.written:
                self._log.info("policy added", object=str(result.policy.ref))
            else:
                self._log.error("policy not added", object=str(result.policy.ref), reason=result.refused)
