"""The leader's loop: what changed, what is needed, what is there, and the writes in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import Protocol

import structlog

from istio_netpol.admission.modes import effective_mode
from istio_netpol.admission.scope import is_exempt_namespace
from istio_netpol.analysis.check import check
from istio_netpol.analysis.upkeep import Upkeep, upkeep
from istio_netpol.controller.execution import Execution
from istio_netpol.controller.measures import Measures
from istio_netpol.controller.owned import labelled_policies
from istio_netpol.controller.plan import Plan, Present, plan
from istio_netpol.controller.publishing import Publisher
from istio_netpol.controller.sightings import Sightings
from istio_netpol.dns.budget import Budget
from istio_netpol.errors import ApiError, NetpolError
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import Connection
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Mode, Settings
from istio_netpol.model.snapshot import Snapshot

RESYNC_SECONDS = 60.0
"""How often everything is looked at, whether something changed or not."""

RETRY_SECONDS = 1.0
IDLE_SECONDS = 0.5
SETTLE_SECONDS = 0.1
"""Changes come in bursts: one evaluation for what comes within this time."""

LOOKUP_SECONDS = 10.0
"""How long all lookups of one evaluation may take."""

PUBLISH_SECONDS = 10.0
"""How long there is between two rounds of Events and reports."""

CONFLICT = 409


class Chore(Protocol):
    """Something else that only the leader does."""

    def reconcile(self) -> float:
        """Does what is due; the seconds until it wants to be called again."""
        ...


class Leadership(Protocol):
    """Whether this process may write."""

    @property
    def is_held(self) -> bool: ...


class Loop:
    """Runs in one thread. Nothing that it learns is lost with it but sightings of addresses, and what those
    opened stays for as long again."""

    def __init__(
        self,
        cluster: Cluster,
        connection: Connection,
        leadership: Leadership,
        settings: Settings,
        resolver: Resolver,
        measures: Measures,
        chores: Sequence[Chore] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._connection = connection
        self._leadership = leadership
        self._settings = settings
        self._resolver = resolver
        self._measures = measures
        self._clock = clock
        hosts = settings.hosts
        self._sightings = Sightings(
            resolver, settings.controller.host_overlap_seconds, hosts.max_addresses_per_host, clock
        )
        self._execution = Execution(connection)
        self._publisher = Publisher(connection, self._execution.reference)
        self._publish_due = clock()
        self._is_told = False
        self._chores = {chore: float("-inf") for chore in chores}
        self._due = float("inf")
        self._log = structlog.get_logger("controller")

    def run(self, stopped: Event) -> None:
        """Works whenever it leads, until stopped."""
        led = False
        while not stopped.is_set():
            if self._cluster.take() is not None:
                self._due = min(self._due, self._clock() + SETTLE_SECONDS)
            leads = self._leadership.is_held
            if leads and not led:
                self._log.info("leading")
                self._due = self._clock()
            led = leads
            if leads:
                self._do_chores()
                self._work(stopped)
            left = max(0.02, min(IDLE_SECONDS, self._due - self._clock()))
            self._cluster.wait(left) if self._due > self._clock() + IDLE_SECONDS else stopped.wait(left)

    def _do_chores(self) -> None:
        for chore, due in self._chores.items():
            if self._clock() < due:
                continue
            try:
                wait = chore.reconcile()
            except NetpolError as error:
                self._log.warning("a chore failed and is tried again", reason=str(error))
                wait = RETRY_SECONDS
            self._chores[chore] = self._clock() + wait

    def _work(self, stopped: Event) -> None:
        started = self._clock()
        if started < self._due:
            return
        state = self._cluster.state()
        if not state.synced or state.age > self._settings.controller.stale_after_seconds:
            self._measures.stale.set(1)
            self._due = started + RETRY_SECONDS
            return
        self._measures.stale.set(0)
        self._due = started + RESYNC_SECONDS
        try:
            made = self._plan(state.snapshot)
            is_done = self._carry_out(made, stopped)
            if made.actions:
                self._is_told = False
            else:
                self._publish(state.snapshot)
        except ApiError as error:
            self._log.warning("the policies can't be kept now", reason=str(error), status=error.status)
            self._measures.failures.inc()
            is_done, made = False, Plan()
        took = self._clock() - started
        self._measures.seconds.observe(took)
        again = min(RESYNC_SECONDS, made.again_in, self._sightings.due_at - self._clock())
        if not self._is_told:
            again = min(again, self._publish_due - self._clock())
        # Never more than half of the time, however large the cluster is.
        self._due = self._clock() + max(took, again if is_done else RETRY_SECONDS)

    def _plan(self, snapshot: Snapshot) -> Plan:
        present = labelled_policies(self._connection)
        need = self._need(snapshot, present)
        made = plan(need, present, time.time(), self._settings.controller)
        self._measures.own.set(sum(each.own for each in present))
        self._measures.withheld.set(len(made.withheld))
        for sentence in self._measures.unsaid(made.withheld):
            self._log.warning("a policy is withheld", reason=sentence)
        return made

    def _need(self, snapshot: Snapshot, present: Sequence[Present]) -> Upkeep:
        self._sightings.begin(Budget(self._resolver, LOOKUP_SECONDS))
        own = [each.key for each in present if each.own]
        need = upkeep(snapshot, own, self._settings, self._sightings, self._augments(snapshot))
        self._execution.knows(self._cluster.resources())
        return replace(need, uncertain=need.uncertain | self._cluster.unreadable())

    def _augments(self, snapshot: Snapshot) -> Callable[[str], bool]:
        admission = self._settings.admission
        return lambda name: (
            not is_exempt_namespace(name, admission)
            and effective_mode(name, snapshot.namespace(name).labels, admission).mode is Mode.AUGMENT
        )

    def _publish(self, snapshot: Snapshot) -> None:
        """Tells of what is wrong once the policies are as they should be: what is mended is no news."""
        if self._clock() < self._publish_due:
            self._is_told = False
            return
        self._publish_due = self._clock() + PUBLISH_SECONDS
        findings = check(snapshot, self._settings, self._sightings).findings
        admission = self._settings.admission
        mentioned = [each for each in findings if not is_exempt_namespace(each.object.namespace, admission)]
        modes = {
            name: effective_mode(name, snapshot.namespace(name).labels, admission).mode
            for name in {each.object.namespace for each in mentioned}
        }
        mentioned = [each for each in mentioned if modes[each.object.namespace] is not Mode.OFF]
        try:
            self._is_told = self._publisher.publish(mentioned, lambda: self._leadership.is_held)
        except ApiError as error:
            self._is_told = False
            self._measures.failures.inc()
            self._log.warning("findings can't be told now", reason=str(error), status=error.status)

    def _carry_out(self, made: Plan, stopped: Event) -> bool:
        """Writes no faster than allowed; whether everything was done. Whoever stops leading stops at once."""
        is_done = True
        pause = 1 / self._settings.controller.writes_per_second
        for action in made.actions:
            if stopped.is_set() or not self._leadership.is_held:
                return False
            kind = type(action).__name__.lower()
            try:
                self._execution.carry_out(action)
            except ApiError as error:
                if error.status == 0:
                    raise
                is_done = False
                self._measures.failures.inc()
                level = self._log.info if error.status == CONFLICT else self._log.warning
                level("not done, and tried again", action=kind, policy=_key(action), reason=str(error))
            else:
                self._measures.actions.labels(kind).inc()
                self._log.info("done", action=kind, policy=_key(action))
            stopped.wait(pause)
        return is_done


def _key(action: object) -> str:
    policy = getattr(action, "policy", None) or action.present.policy  # type: ignore[attr-defined]
    return str(policy.key)
