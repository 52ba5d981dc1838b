"""What a change costs: the flows that are denied after it and were not before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.ambient.tunnel_ports import closed_tunnels
from istio_netpol.analysis.check import gate_of
from istio_netpol.analysis.findings_writer import FindingsWriter
from istio_netpol.analysis.flow_verdicts import FlowJudge, HostTrouble
from istio_netpol.analysis.operator_policies import for_owners
from istio_netpol.flows.affected import namespaces_of_subjects
from istio_netpol.flows.needs import NOTHING, needs_of
from istio_netpol.flows.prospect import Prospect
from istio_netpol.flows.subjects import subjects_named
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.control_plane import AMBIENT_LABEL
from istio_netpol.model.failures import NO_DEADLINE, Deadline
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import FlowKey, FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.istio_security import RequestAuthentication
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.remedies.ahead import Today, ahead
from istio_netpol.trust.authority import authority_of
from istio_netpol.trust.host_policy import HostGate


class Impact(Struct, frozen=True):
    """The findings that a change brings, sorted, and the policies that may be written to mend them.

    A finding without a remedy is one that whoever makes the change can't mend. `isolating` says that the
    policies must not be stored before the change: pods are isolated only by it, or it would undo them. Then
    `ahead` has those that may be, in the order to store them. `judged_in` are the namespaces whose policies
    were asked for all this.
    """

    findings: tuple[Finding, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    isolating: bool = False
    ahead: tuple[NetworkPolicy, ...] = ()
    judged_in: frozenset[str] = frozenset()

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to say of the change, and nothing to write."""
        return not self.findings and not self.policies


def review_change(
    table: FlowTable,
    put: Sequence[ClusterObject],
    remove: Sequence[ClusterObject],
    resolver: Resolver,
    old: Sequence[ClusterObject] = (),
    submitter: str = "",
    *,
    starting: bool = False,
    deadline: Deadline = NO_DEADLINE,
) -> Impact:
    """Judges the flows that storing and deleting these decoded objects concerns, before against after.

    `old` are the objects as they are stored today, for the case that the table has not seen them yet.
    `submitter` is the namespace in whose name the change is made, and policies may be written. `starting`
    says that the pods of the change need their flows, whether or not pods like them lack them already.
    Raises OutOfTimeError at the deadline.
    """
    unseen = [
        replaced
        for replaced in old
        if replaced.ref.key not in table.needs and not table.snapshot.holds(replaced)
    ]
    before = table.with_objects(unseen) if unseen else table
    pods = [stored for stored in put if isinstance(stored, Workload)]
    prospect = before.after(put, remove, starting=pods)
    changed = (*put, *remove)
    review = _ChangeReview(
        before, prospect, gate_of(before, resolver), changed, submitter, starting, deadline
    )
    findings = sorted(review.findings(), key=lambda finding: finding.sort_key)
    policies = review.writer.policies()
    keys = {changed_object.ref.key for changed_object in changed}
    others = [policy for policy in policies if policy.ref.key not in keys]
    today = Today(before.snapshot, before.view)
    isolating = len(others) < len(policies) or any(map(today.isolates_open_pods, others))
    first = ahead(others, today).policies if isolating else ()
    return Impact(tuple(findings), policies, isolating, first, review.judged_in)


class _ChangeReview:
    """One change, seen from before and from after."""

    def __init__(
        self,
        table: FlowTable,
        prospect: Prospect,
        gate: HostGate,
        changed: tuple[ClusterObject, ...],
        submitter: str,
        starting: bool,
        deadline: Deadline,
    ) -> None:
        self._deadline = deadline
        self._starting = starting
        self._table = table
        self._prospect = prospect
        self._snapshot = prospect.snapshot
        self._changed = changed
        pods = [changed_object for changed_object in changed if isinstance(changed_object, Workload)]
        # A class may carry the name of a pod that was there before.
        classes = [found for workload in pods if (found := self._snapshot.class_with(workload))]
        self._joined = {found.ref.key for found in classes}
        controllers = {self._snapshot.root(workload).key for workload in pods}
        self._own = {changed_object.ref.key for changed_object in changed} | controllers | self._joined
        self._before = FlowJudge(table.snapshot, table.view, gate)
        self._after = FlowJudge(prospect.snapshot, prospect.view, gate)
        self.writer = FindingsWriter(self._after, authority_of(submitter, table.view.trusted_namespaces))

    def findings(self) -> Iterator[Finding]:
        """One finding for each flow that the change denies or leaves unjudged; `impact` where another
        object needs it."""
        known, needed, unnamed = self._flows()
        too_much = [finding for finding in unnamed if finding.asks_too_much]
        if too_much:
            # Its author has to ask for less: what it would take to judge the rest is spared.
            yield from too_much
            return
        self._count_hosts(needed.values())
        for key, flow in needed.items():
            self._deadline.check()
            if self._after.is_plainly_allowed(flow):
                continue
            if self._is_of_a_start(flow) or not self._was_denied(known.get(key)):
                self.writer.take(flow)
        self._deadline.check()
        for finding in unnamed + self.writer.findings():
            is_foreign = isinstance(finding.rule, FlowKind) and finding.object.key not in self._own
            yield replace(finding, rule=Issue.IMPACT) if is_foreign else finding
        yield from self._closed_tunnels()

    @property
    def judged_in(self) -> frozenset[str]:
        """The namespaces whose policies were asked so far."""
        return self._before.known.namespaces | self._after.known.namespaces

    def _closed_tunnels(self) -> Iterator[Finding]:
        """Which policies let nothing through any more, once ambient mode carries what they name: those of the
        change, and all where it makes a namespace ambient."""
        after, view = self._snapshot, self._prospect.view
        policies = [
            changed
            for changed in self._changed
            if isinstance(changed, NetworkPolicy) and after.holds(changed)
        ]
        if any(self._becomes_ambient(changed) for changed in self._changed):
            policies = list(after.every(NetworkPolicy))
        if not policies:
            return
        table = self._table
        told = {
            (finding.object.key, finding.field)
            for finding in closed_tunnels(policies, table.snapshot, table.view)
        }
        for finding in for_owners(closed_tunnels(policies, after, view), after):
            self._deadline.check()
            if (finding.object.key, finding.field) not in told:
                yield finding

    def _becomes_ambient(self, changed: ClusterObject) -> bool:
        if not isinstance(changed, Namespace):
            return False
        labels = (side.namespace(changed.name).labels for side in (self._table.snapshot, self._snapshot))
        before, after = (some_labels.get(AMBIENT_LABEL) for some_labels in labels)
        return before != after and after == "ambient"

    def _count_hosts(self, needed: Iterable[RequiredFlow]) -> None:
        """Counts the hosts of the namespaces' other objects first, so that a limit holds for all objects
        together."""
        bringing = {flow.object.namespace for flow in needed if isinstance(flow.destination, HostPeer)}
        for namespace in sorted(bringing):
            for policy in self._table.snapshot.of_type(RequestAuthentication, namespace):
                if policy.ref.key not in self._own:
                    for flow in self._table.needs.get(policy.ref.key, NOTHING).flows:
                        self._before.resolved(flow)

    def _is_of_a_start(self, flow: RequiredFlow) -> bool:
        """Whether pods that start are one end of a flow."""
        ends = (flow.source, flow.destination)
        return self._starting and any(
            isinstance(end, PodsPeer) and end.workload.ref.key in self._joined for end in ends
        )

    def _was_denied(self, flow: RequiredFlow | None) -> bool:
        if flow is None:
            return False
        return any(
            isinstance(before, HostTrouble) or not before.verdict.allowed
            for before in self._before.resolved(flow)
        )

    def _flows(self) -> tuple[dict[FlowKey, RequiredFlow], dict[FlowKey, RequiredFlow], list[Finding]]:
        """The flows that the change concerns, as they were and as they will be, and the new findings of
        the objects themselves."""
        table, recomputed = self._table, self._recomputed_keys()
        known: dict[FlowKey, RequiredFlow] = {}
        needed: dict[FlowKey, RequiredFlow] = {}
        unnamed: list[Finding] = []
        for flow in self._retold():
            if flow.object.key not in recomputed:
                flow_key = flow.key
                known[flow_key] = needed[flow_key] = flow
        for key in sorted(recomputed):
            self._deadline.check()
            before = table.needs.get(key, NOTHING)
            known.update((flow.key, flow) for flow in before.flows)
            told = {(finding.rule, finding.message) for finding in before.findings}
            for subject in subjects_named(key, self._snapshot, self._changed):
                after = needs_of(subject, self._prospect.view)
                needed.update((flow.key, flow) for flow in after.flows)
                if key in self._own:
                    unnamed += [
                        finding for finding in after.findings if (finding.rule, finding.message) not in told
                    ]
        return known, needed, unnamed

    def _recomputed_keys(self) -> set[ObjectKey]:
        """The objects whose needs may differ after the change."""
        changed = {
            changed_object.ref.key
            for changed_object in self._changed
            if not isinstance(changed_object, NetworkPolicy | TierPolicy)
        }
        keys = self._prospect.keys | changed
        # The mesh config asks for tracing alone, and of every proxy: too long a look for each request.
        return {key for key in keys if key[1] != "ConfigMap" or key in self._own}

    def _retold(self) -> Iterator[RequiredFlow]:
        """The flows that stay needed, but that changed policies or namespace labels may judge differently."""
        for changed in self._changed:
            if isinstance(changed, Namespace):
                yield from self._table.touching(changed.name)
            elif isinstance(changed, TierPolicy):
                yield from self._subjects(changed)
            elif isinstance(changed, NetworkPolicy):
                yield from self._selected(changed)

    def _subjects(self, policy: TierPolicy) -> Iterator[RequiredFlow]:
        """The flows of the pods that a policy of a tier selects, or selected."""
        previous = self._table.snapshot.find(
            TierPolicy, policy.ref.namespace, policy.ref.name, policy.ref.kind
        )
        policies = [policy, previous] if previous else [policy]
        for home in sorted(namespaces_of_subjects(policies, self._snapshot)):
            yield from self._table.touching(home)

    def _selected(self, policy: NetworkPolicy) -> Iterator[RequiredFlow]:
        """The flows of the pods that a policy selects, or selected."""
        previous = self._table.snapshot.find(NetworkPolicy, policy.namespace, policy.name)
        selectors = {policy.pod_selector} | ({previous.pod_selector} if previous else set())
        for flow in self._table.touching(policy.namespace):
            if any(_is_end(selector, policy.namespace, flow) for selector in selectors):
                yield flow


def _is_end(selector: Selector, namespace: str, flow: RequiredFlow) -> bool:
    """Whether a selector names pods of one end of a flow in a namespace."""
    return any(
        isinstance(peer, PodsPeer)
        and peer.workload.namespace == namespace
        and selector.matches(peer.workload.labels)
        for peer in (flow.source, flow.destination)
    )
