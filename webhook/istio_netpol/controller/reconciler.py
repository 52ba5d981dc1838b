"""Keeps the policies: a round looks at what is needed and what is there, and writes the difference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from threading import Event

import structlog

from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.execution import Execution
from istio_netpol.controller.metrics import Measures, Said
from istio_netpol.controller.owned import LabelledPolicies
from istio_netpol.controller.plan import Plan, Present, plan
from istio_netpol.controller.policy_writer import Writing
from istio_netpol.controller.publishing import Publisher
from istio_netpol.controller.reporter import Telling
from istio_netpol.errors import ApiError
from istio_netpol.kube.cluster import Changes, Cluster
from istio_netpol.kube.connection import Connection
from istio_netpol.model.settings import Settings
from istio_netpol.runtime.failure_log import FailureLog
from istio_netpol.runtime.garbage import keep_what_is_left

RESYNC_SECONDS = 60.0
"""How often everything is looked at, whether something changed or not."""

RETRY_SECONDS = 1.0


def staleness(cluster: Cluster, settings: Settings) -> list[str]:
    """Why nothing can be decided by what was read of the cluster; empty where it can."""
    state, limit = cluster.state(), settings.controller.stale_after_seconds
    if not state.synced:
        return ["the cluster was not read yet"]
    if state.age > limit:
        return [f"the cluster was last read {state.age:.0f} s ago, more than {limit} s"]
    return []


class PolicyKeeper:
    """Nothing that it learns is lost with it but sightings of addresses, and what those opened stays for as
    long again. For one thread."""

    def __init__(
        self,
        cluster: Cluster,
        connection: Connection,
        evaluation: Evaluation,
        settings: Settings,
        measures: Measures,
    ) -> None:
        self._cluster = cluster
        self._evaluation = evaluation
        self._settings = settings
        self._measures = measures
        self._labelled = LabelledPolicies(connection)
        self._execution = Execution(connection)
        self._writing = Writing(self._execution, settings.controller.writes_per_second, measures)
        self._telling = Telling(Publisher(connection, self._execution.reference), evaluation, measures)
        self._withheld, self._hosts = Said(), Said()
        self._failures = FailureLog("controller")
        self._is_broken = False
        self._log = structlog.get_logger("controller")

    def follow(self) -> bool:
        """Takes in what happened in the cluster; whether something did."""
        changes = self._cluster.take()
        if self._is_broken and self._cluster.state().synced:
            changes = Changes(self._cluster.state().snapshot, whole=True)
        if changes is None:
            return False
        # What is taken in by half, or kept from a round that broke off, is worked out anew.
        self._is_broken = True
        self._evaluation.take(changes)
        self._is_broken = False
        self._failures.tell(self._evaluation.failures)
        self._measures.not_judged.set(len(self._evaluation.failures))
        if changes.whole:
            keep_what_is_left()
        return True

    def reconcile(self, stopped: Event) -> float:
        """One round; in how many seconds the next is due."""
        if self._is_broken or staleness(self._cluster, self._settings):
            return RETRY_SECONDS
        with self._measures.seconds.time():
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
            self._log.warning("the policies can't be kept now", reason=str(error), status=error.status)
            self._measures.failures.inc()
            return RETRY_SECONDS

    def _round(self, stopped: Event) -> float:
        made = self._plan(self._labelled.read())
        outcome = self._writing.carry_out(made.actions, stopped)
        if outcome.written and not self._telling.is_overdue:
            self._telling.wait()
        else:
            self._telling.tell()
        if not outcome.is_complete:
            return RETRY_SECONDS
        return min(made.again_in, outcome.again_in, self._evaluation.due_in, self._telling.due_in)

    def _plan(self, present: Sequence[Present]) -> Plan:
        need = self._evaluation.need(each.key for each in present if each.own)
        need = replace(need, uncertain=need.uncertain | self._cluster.unreadable())
        self._execution.knows(self._cluster.resources())
        made = plan(need, present, time.time(), self._settings)
        self._measures.own.set(sum(each.own for each in present))
        self._measures.withheld.set(len(made.withheld))
        self._measures.hosts.set(len(self._evaluation.host_troubles))
        for sentence in self._withheld.news(made.withheld):
            self._log.warning("a policy is withheld", reason=sentence)
        for sentence in self._hosts.news(self._evaluation.host_troubles):
            self._log.warning("a host is not what it was", reason=sentence)
        return made
