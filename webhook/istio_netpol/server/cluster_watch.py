"""Keeps the reviewer's table in step with a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from istio_netpol.flows.table import FlowTable
from istio_netpol.kube.cluster import Cluster, ClusterChanges
from istio_netpol.kube.limited_store import LimitedStore
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Settings
from istio_netpol.runtime.failure_log import FailureLog
from istio_netpol.runtime.garbage import keep_what_is_left
from istio_netpol.runtime.guarded import Guarded
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.pace import Pace
from istio_netpol.server.reviewer import Reviewer

LOOK_SECONDS = 1.0
"""How long a look waits for news: only the first one, and one after an error, have none to wait for."""


class ClusterWatch:
    """A thread that takes changes into the table, soon after they come and in batches. Policies that are
    missing are the controller's to write.

    Only the thread that looks writes any field. Others read `_guarded.problem`, `_taking_since` and
    `_taken_in`, each a single value; the last, how many of the changes that were heard of decisions go by,
    under the lock of `_looked` where they wait for it.
    """

    def __init__(
        self,
        cluster: Cluster,
        reviewer: Reviewer,
        store: LimitedStore,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._reviewer = reviewer
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._guarded = Guarded("source", "the cluster could not be taken in", metrics.errored)
        self._clock = clock
        self._pace = Pace(lambda: reviewer.is_busy, clock)
        self._table: FlowTable | None = None
        self._taking_since: float | None = None
        self._looked = threading.Condition()
        self._taken_in = 0
        reviewer.catch_up_by(self.catch_up, lambda: self.is_behind)
        self._log = structlog.get_logger("source")
        self._failures = FailureLog("source")

    @property
    def failure(self) -> str:
        """Why the newest snapshot is not what decisions go by; empty where it is."""
        return self._guarded.problem

    @property
    def lag(self) -> float:
        """How many seconds ago the oldest change was heard of that decisions do not go by yet; 0 where there
        is none. What the API server has not told yet is not in it."""
        waiting = [since for since in (self._taking_since, self._cluster.waiting_since) if since is not None]
        return max(0.0, self._clock() - min(waiting)) if waiting else 0.0

    @property
    def is_behind(self) -> bool:
        """Whether a change was heard of that decisions do not go by yet."""
        return self._taken_in < self._cluster.heard_of

    def start(self) -> None:
        """Starts the cluster's watches and this thread, for as long as the process lives; returns at once."""
        self._cluster.start()
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def catch_up(self, seconds: float) -> None:
        """Returns when every change that was heard of by now is taken in, or after so many seconds. It is
        taken in at once, instead of in its time."""
        wanted = self._cluster.heard_of
        with self._looked:
            if self._taken_in < wanted:
                self._pace.hurry()
                self._cluster.wake()
            self._looked.wait_for(lambda: self._taken_in >= wanted, seconds)

    def _run(self) -> None:
        while True:
            self._cluster.wait(LOOK_SECONDS)
            self._pace.wait(self._cluster.waiting_since or self._clock())
            with self._guarded, self._pace.at_work():
                self.look()
            if self._guarded.problem:
                self._table = None  # made anew by the next look; the reviewer keeps the last good one
                time.sleep(self._guarded.wait)

    def look(self) -> None:
        """Takes in what has changed since the last look. Raises whatever keeps it from that."""
        self._take_in()
        with self._looked:
            self._taken_in = self._cluster.taken
            self._looked.notify_all()

    def _take_in(self) -> None:
        changes = self._cluster.take()
        if changes is not None:
            self._taking_since = self._taking_since or changes.since
            self._count(changes)
        state = self._cluster.state()
        if not state.synced or (changes is None and not self.failure):
            return
        if changes is None or changes.whole or self._table is None:
            self._take_whole()
        else:
            self._take_changes(changes, self._table)
        if self._taking_since is not None:
            self._metrics.change_delay.observe(self._clock() - self._taking_since)
            self._taking_since = None
        if self._table is not None:
            self._failures.tell(self._table.failures)
            self._metrics.not_judged.set(len(self._table.failures))

    def _count(self, changes: ClusterChanges) -> None:
        """Tells the store, which counts whose policies there are."""
        if changes.whole:
            self._store.restart(changes.snapshot.every(NetworkPolicy))
        else:
            self._store.follow(changes.put, changes.remove)

    def _take_changes(self, changes: ClusterChanges, table: FlowTable) -> None:
        self._table = table.with_changes(changes.put, changes.remove, changes.snapshot)
        self._reviewer.take(self._table)

    def _take_whole(self) -> None:
        snapshot = self._cluster.state().snapshot
        self._table = FlowTable.of(snapshot, self._settings).indexed()
        self._reviewer.take(self._table)
        keep_what_is_left()
        self._metrics.loaded(good=True)
        self._log.info("the source was read", objects=snapshot.object_count)
