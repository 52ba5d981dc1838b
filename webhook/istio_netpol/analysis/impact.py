"""What a change costs: the flows that are denied after it and were not before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from istio_netpol.analysis.check import FindingsWriter, gate_of
from istio_netpol.analysis.flow_table import (
    NOTHING,
    SUBJECT_TYPES,
    FlowTable,
    Key,
    Use,
    needs_of,
    subjects_in,
)
from istio_netpol.analysis.judge import FlowJudge, HostTrouble
from istio_netpol.analysis.openings import Reach
from istio_netpol.istio.injected_pods import as_injected
from istio_netpol.istio.mesh_view import MeshView
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import FlowKey, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.mesh import DestinationRule
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.model.workloads import Namespace, Workload


@dataclass(frozen=True, slots=True)
class Impact:
    """The findings that a change brings, sorted, and the policies that may be written to mend them.

    A finding without a remedy is one that whoever makes the change can't mend. `isolating` says that the
    change itself isolates pods: its remedies must not be stored before it.
    """

    findings: tuple[Finding, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    isolating: bool = False


def review_change(
    table: FlowTable,
    put: Sequence[Any],
    remove: Sequence[Any],
    resolver: Resolver,
    old: Sequence[Any] = (),
) -> Impact:
    """Judges the flows that storing and deleting these decoded objects concerns, before against after.

    `old` are the objects as they are stored today, for the case that the table has not seen them yet.
    """
    unseen = [each for each in old if each.ref.key not in table.needs]
    before = table.with_objects(unseen) if unseen else table
    namespaces = {each.namespace for each in put if isinstance(each, Workload)}
    namespaces |= {each.name for each in put if isinstance(each, Namespace)}
    changed = before.snapshot.with_changes(put, remove)
    snapshot = as_injected(changed, table.settings.mesh, namespaces)
    review = _Review(before, MeshView(snapshot, table.settings), tuple(put), tuple(remove), resolver)
    findings = sorted(review.findings(), key=lambda finding: finding.sort_key)
    return Impact(
        findings=tuple(findings),
        policies=review.writer.policies(),
        isolating=any(isinstance(each, NetworkPolicy) for each in put),
    )


class _Review:
    """One change, seen from before and from after."""

    def __init__(
        self,
        table: FlowTable,
        after: MeshView,
        put: tuple[Any, ...],
        remove: tuple[Any, ...],
        resolver: Resolver,
    ) -> None:
        gate = gate_of(table, resolver)
        self._table = table
        self._changed = (*put, *remove)
        self._before = FlowJudge(table.view, gate)
        self._after = FlowJudge(after, gate)
        self.writer = FindingsWriter(self._after, Reach(table.settings, tenant=True))

    def findings(self) -> Iterator[Finding]:
        """One finding for each flow that the change denies or leaves unjudged; `impact` where another
        object needs it."""
        own = {each.ref.key for each in self._changed}
        known, needed, unnamed = self._flows()
        for key, flow in needed.items():
            if not self._was_denied(known.get(key)):
                self.writer.take(flow)
        for finding in unnamed + self.writer.findings():
            is_foreign = isinstance(finding.rule, FlowKind) and finding.object.key not in own
            yield replace(finding, rule=Issue.IMPACT) if is_foreign else finding

    def _was_denied(self, flow: RequiredFlow | None) -> bool:
        if flow is None:
            return False
        before = self._before.resolved(flow)
        return isinstance(before, HostTrouble) or not before.verdict.allowed

    def _flows(self) -> tuple[dict[FlowKey, RequiredFlow], dict[FlowKey, RequiredFlow], list[Finding]]:
        """The flows that the change concerns, as they were and as they will be, and the new findings of
        the objects themselves."""
        table, own = self._table, {each.ref.key for each in self._changed}
        recomputed = self._recomputed_keys()
        known: dict[FlowKey, RequiredFlow] = {}
        needed: dict[FlowKey, RequiredFlow] = {}
        unnamed: list[Finding] = []
        for flow in self._retold():
            if flow.object.key not in recomputed:
                known[flow.key] = needed[flow.key] = flow
        for key in sorted(recomputed):
            before = table.needs.get(key, NOTHING)
            known.update((flow.key, flow) for flow in before.flows)
            told = {(finding.rule, finding.message) for finding in before.findings}
            for subject in self._subjects(key):
                after = needs_of(subject, self._after.view)
                needed.update((flow.key, flow) for flow in after.flows)
                if key in own:
                    unnamed += [each for each in after.findings if (each.rule, each.message) not in told]
        return known, needed, unnamed

    def _recomputed_keys(self) -> set[Key]:
        """The objects whose needs may differ after the change."""
        keys: set[Key] = set()
        uses: set[Use] = set()
        for each in self._changed:
            ref = each.ref
            if isinstance(each, Namespace):
                for snapshot in (self._table.snapshot, self._after.view.snapshot):
                    keys |= {subject.ref.key for subject in subjects_in(snapshot, each.name)}
                uses.add(("Namespace", "", each.name))
            elif not isinstance(each, NetworkPolicy):
                keys.add(ref.key)
                uses |= self._uses_of(each)
        return keys | self._table.users(uses)

    def _uses_of(self, changed: Any) -> set[Use]:
        """The names under which other objects depend on this one."""
        ref = changed.ref
        uses = {(ref.kind, ref.namespace, ref.name)}
        if isinstance(changed, Workload):
            services = self._after.view.snapshot.of_type(Service, ref.namespace)
            selecting = [
                service for service in services if service.selector and _selects(service.selector, changed)
            ]
            uses |= {("Service", ref.namespace, service.name) for service in selecting}
        elif isinstance(changed, EndpointSlice):
            uses.add(("Service", ref.namespace, changed.service))
        elif isinstance(changed, DestinationRule):
            service = self._after.view.resolve_host(changed.host, ref.namespace)
            if service is not None:
                uses.add((service.ref.kind, service.ref.namespace, service.ref.name))
        return uses

    def _retold(self) -> Iterator[RequiredFlow]:
        """The flows that stay needed, but that changed policies or namespace labels may judge differently."""
        for each in self._changed:
            if isinstance(each, Namespace):
                yield from self._table.touching(each.name)
            elif isinstance(each, NetworkPolicy):
                yield from (
                    flow for flow in self._table.touching(each.namespace) if self._concerns(each, flow)
                )

    def _concerns(self, policy: NetworkPolicy, flow: RequiredFlow) -> bool:
        previous = self._table.snapshot.find(NetworkPolicy, policy.namespace, policy.name)
        selectors = {policy.pod_selector} | ({previous.pod_selector} if previous else set())
        return any(
            peer.workload.namespace == policy.namespace
            and any(selector.matches(peer.workload.labels) for selector in selectors)
            for peer in (flow.source, flow.destination)
            if isinstance(peer, PodsPeer)
        )

    def _subjects(self, key: Key) -> Iterable[Any]:
        """The objects of that name after the change: several where a controller's pods fall into classes."""
        _, kind, namespace, name = key
        snapshot = self._after.view.snapshot
        changed = [each for each in self._changed if isinstance(each, Workload) and each.ref.key == key]
        classes = [each for each in snapshot.workloads(namespace) if each.ref.key == key]
        if classes:
            return classes
        if changed:
            return ()
        found = (snapshot.find(type_, namespace, name, kind) for type_ in SUBJECT_TYPES)
        return [each for each in found if each is not None and each.ref.key == key]


def _selects(selector: Any, workload: Workload) -> bool:
    return bool(selector.items() <= workload.labels.items())
