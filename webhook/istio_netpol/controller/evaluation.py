"""Works out what the watched cluster needs and what is denied in it, again only for what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from istio_netpol.admission.modes import effective_mode
from istio_netpol.admission.scope import is_exempt_namespace
from istio_netpol.analysis.check import check_table, judge_of
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.analysis.needed_policies import Upkeep, upkeep
from istio_netpol.controller.address_history import AddressHistory
from istio_netpol.dns.budget import Budget
from istio_netpol.flows.affected import judged_anew
from istio_netpol.flows.cache import NamespaceAnswers
from istio_netpol.flows.table import FlowTable
from istio_netpol.kube.cluster import ClusterChanges
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy, PolicyKey
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Mode, Settings
from istio_netpol.state.snapshot import Snapshot

LOOKUP_SECONDS = 5.0
LOOKUP_SECONDS_EACH = 1.0
"""How long one evaluation waits for DNS in all, and for the hosts of one namespace. Answers that come later
are there for the next one."""


class Evaluation:
    """Follows a cluster twice: as it is, and as if our policies were not there. For one thread."""

    def __init__(
        self, settings: Settings, resolver: Resolver, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._clock = clock
        self._address_history = AddressHistory(resolver, settings, clock)
        self._flows = CurrentFlows(FlowTable.of(Snapshot.of([]), settings))
        self._bare = self._flows
        self._ours: frozenset[PolicyKey] = frozenset()

    def take(self, changes: ClusterChanges) -> None:
        """Takes in what changed in the cluster."""
        if changes.whole:
            self._take_whole(changes)
            return
        self._flows.change(changes.put, changes.remove)
        others = [
            [changed for changed in part if not self._is_ours(changed)]
            for part in (changes.put, changes.remove)
        ]
        self._bare.change(*others)

    def _take_whole(self, changes: ClusterChanges) -> None:
        self._flows = CurrentFlows(FlowTable.of(changes.snapshot, self._settings))
        self._ours = frozenset()
        self._bare = CurrentFlows(self._flows.table)

    def _is_ours(self, value: object) -> bool:
        return isinstance(value, NetworkPolicy) and (value.namespace, value.name) in self._ours

    @property
    def failures(self) -> Mapping[ObjectKey, Finding]:
        """The objects that are not judged because of an error of our own."""
        return self._flows.table.failures

    def need(self, ours: Iterable[PolicyKey]) -> Upkeep:
        """The policies that the cluster would need without these; asks DNS anew."""
        self._leave_out(frozenset(ours))
        self._address_history.begin(Budget(self._resolver, LOOKUP_SECONDS, LOOKUP_SECONDS_EACH))
        return upkeep(self._bare.table, self._bare.judge(self._address_history), self._augments)

    @property
    def due_in(self) -> float:
        """In how many seconds the first answer of DNS is too old; infinite where none matters."""
        return self._address_history.due_at - self._clock()

    def _leave_out(self, ours: frozenset[PolicyKey]) -> None:
        here, there = self._flows.table.stored, self._bare.table.stored
        theirs = [here.find(NetworkPolicy, *key) for key in sorted(self._ours - ours)]
        gone = [there.find(NetworkPolicy, *key) for key in sorted(ours - self._ours)]
        self._bare.change(
            [policy for policy in theirs if policy is not None],
            [policy for policy in gone if policy is not None],
        )
        self._ours = ours

    @property
    def host_troubles(self) -> tuple[str, ...]:
        """What is wrong with hosts that answer badly, a sentence each."""
        return self._address_history.troubles

    def findings(self) -> list[Finding]:
        """The findings of the namespaces that are judged."""
        report = check_table(self._flows.table, self._flows.judge(self._address_history), in_full=False)
        found = [finding for finding in report.findings if finding.told_of.namespace]
        names = {finding.told_of.namespace for finding in found}
        told = {name for name in names if self._mode(name) not in {None, Mode.OFF}}
        return [finding for finding in found if finding.told_of.namespace in told]

    def _augments(self, name: str) -> bool:
        return self._mode(name) is Mode.AUGMENT

    def _mode(self, name: str) -> Mode | None:
        """The mode of a namespace; None for one that is never judged."""
        admission = self._settings.admission
        if is_exempt_namespace(name, admission):
            return None
        return effective_mode(name, self._flows.table.stored.namespace(name).labels, admission).mode


class CurrentFlows:
    """A flow table that follows its cluster, at the cost of what changes. `known` holds what analyses worked
    out for the namespaces that did not."""

    def __init__(self, table: FlowTable) -> None:
        self.table = table.indexed()
        self.known = NamespaceAnswers()

    def judge(self, resolver: Resolver) -> FlowJudge:
        """A judge for one analysis, which reuses the answers of the analysis before it."""
        self.known.begin()
        return judge_of(self.table, resolver, self.known)

    def change(self, put: Sequence[ClusterObject], remove: Sequence[ClusterObject] = ()) -> None:
        """Takes in objects that were stored and deleted."""
        if not put and not remove:
            return
        before = self.table
        self.table = before.with_changes(put, remove)
        self.known.forget(judged_anew(self.table.change, (before.snapshot, self.table.snapshot)))
