"""Keeps the policies: a round compares the policies that are needed with those that are there, and writes the
difference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event

import structlog
from msgspec.structs import replace

from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.metrics import ControllerMetrics
from istio_netpol.controller.owned import LabelledPolicies
from istio_netpol.controller.plan import Present, WritePlan, plan
from istio_netpol.controller.policy_writer import ActionWriter, PacedWriter
from istio_netpol.controller.reporter import Publisher, Reporter
from istio_netpol.errors import ApiError
from istio_netpol.kube.cluster import Cluster, ClusterChanges
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.model.settings import Settings
from istio_netpol.runtime.failure_log import FailureLog
from istio_netpol.runtime.garbage import keep_what_is_left

RESYNC_SECONDS = 60.0
"""How often all policies are compared, whether something changed or not."""

RETRY_SECONDS = 1.0


def staleness(cluster: Cluster, settings: Settings) -> list[str]:
    """Why nothing can be decided by what was read of the cluster; empty where something can."""
    state, limit = cluster.state(), settings.controller.stale_after_seconds
    if not state.synced:
        return ["the cluster was not read yet"]
    if state.age > limit:
        return [f"the cluster was last read {state.age:.0f} s ago, more than {limit} s"]
    return []


class ReportedSentences:
    """The sentences that were logged last: what stays true is logged once."""

    def __init__(self) -> None:
        self._last: frozenset[str] = frozenset()

    def new(self, sentences: Sequence[str]) -> list[str]:
        """The sentences that were not among the last ones."""
        last, self._last = self._last, frozenset(sentences)
        return [sentence for sentence in sentences if sentence not in last]


class PolicyReconciler:
    """Follows the cluster and reconciles its policies. For one thread.

    When it ends, only the history of hosts' addresses is lost with it, and what those addresses opened stays
    for as long again.
    """

    def __init__(
        self,
        cluster: Cluster,
        connection: ApiConnection,
        evaluation: Evaluation,
        settings: Settings,
        metrics: ControllerMetrics,
    ) -> None:
        self._cluster = cluster
        self._evaluation = evaluation
        self._settings = settings
        self._metrics = metrics
        self._labelled = LabelledPolicies(connection)
        self._writer = ActionWriter(connection)
        self._paced_writer = PacedWriter(self._writer, settings.controller.writes_per_second, metrics)
        self._reporter = Reporter(Publisher(connection, self._writer.reference), evaluation, metrics)
        self._withheld, self._hosts = ReportedSentences(), ReportedSentences()
        self._failures = FailureLog("controller")
        self._is_broken = False
        self._log = structlog.get_logger("controller")

    def follow(self) -> bool:
        """Takes in what happened in the cluster; returns whether something did."""
        changes = self._cluster.take()
        if self._is_broken and self._cluster.state().synced:
            changes = ClusterChanges(self._cluster.state().snapshot, whole=True)
        if changes is None:
            return False
        # After changes that were taken in by half, and after a round that broke off, everything is worked out
        # anew.
        self._is_broken = True
        self._evaluation.take(changes)
        self._is_broken = False
        self._failures.tell(self._evaluation.failures)
        self._metrics.not_judged.set(len(self._evaluation.failures))
        if changes.whole:
            keep_what_is_left()
        return True

    def reconcile(self, stopped: Event) -> float:
        """Does one round; returns in how many seconds the next is due."""
        if self._is_broken or staleness(self._cluster, self._settings):
            return RETRY_SECONDS
        with self._metrics.seconds.time():
            started = time.monotonic()
            self._is_broken = True
            again = self._reachable_round(stopped)
            self._is_broken = False
            # Never more than half of the time, however large the cluster is.
            return max(time.monotonic() - started, min(again, RESYNC_SECONDS))

    def _reachable_round(self, stopped: Event) -> float:
        try:
            return self._round(stopped)
        except ApiError as error:
            self._log.warning(
                "the policies could not be reconciled; trying again",
                reason=str(error),
                status=error.status,
            )
            self._metrics.failures.inc()
            return RETRY_SECONDS

    def _round(self, stopped: Event) -> float:
        made = self._plan(self._labelled.read())
        outcome = self._paced_writer.carry_out(made.actions, stopped)
        if outcome.written and not self._reporter.is_overdue:
            self._reporter.wait()
        else:
            self._reporter.tell()
        if not outcome.is_complete:
            return RETRY_SECONDS
        return min(made.again_in, outcome.again_in, self._evaluation.due_in, self._reporter.due_in)

    def _plan(self, present: Sequence[Present]) -> WritePlan:
        need = self._evaluation.need(stored.key for stored in present if stored.own)
        need = replace(need, uncertain=need.uncertain | self._cluster.unreadable())
        self._writer.knows(self._cluster.resources())
        made = plan(need, present, time.time(), self._settings)
        self._metrics.own.set(sum(stored.own for stored in present))
        self._metrics.withheld.set(len(made.withheld))
        self._metrics.hosts.set(len(self._evaluation.host_troubles))
        for sentence in self._withheld.new(made.withheld):
            self._log.warning("a policy is withheld", reason=sentence)
        for sentence in self._hosts.new(self._evaluation.host_troubles):
            self._log.warning("a lookup of a host went wrong", reason=sentence)
        return made
