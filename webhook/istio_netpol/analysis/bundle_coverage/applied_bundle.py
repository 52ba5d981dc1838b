"""A cluster without a bundle and with it: the policies, verdicts and required connections of both states.

The bundle's older policies are replaced, all others stay. Verdicts are by their effect: a rule that admits
only addresses from which no connection comes admits nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.check import gate_of
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import Address, AddressSet, parse_address
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.own_names import OWNER, PART_OF
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.services import Dialled, Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import RuleRef, Verdict
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.host_policy import HostGate


class Applied(Struct, frozen=True):
    """`before` lacks every policy of the bundle, also those that were applied earlier; `after` has what it
    holds now. `own` are the keys of these policies, `brought` those of the other objects of the bundle."""

    before: Snapshot
    after: Snapshot
    own: frozenset[str]
    brought: frozenset[ObjectKey]

    @classmethod
    def of(cls, bundle: Sequence[ClusterObject], cluster: Snapshot) -> Applied:
        """What applying and pruning makes of the cluster."""
        policies = [value for value in bundle if isinstance(value, NetworkPolicy)]
        own = frozenset(policy.key for policy in policies)
        namespaces = {policy.namespace for policy in policies}
        older = [policy for name in namespaces for policy in cluster.of_type(NetworkPolicy, name)]
        before = cluster.with_changes(remove=[policy for policy in older if _is_of_bundle(policy, own)])
        after = before.with_changes(put=_merged(bundle, cluster))
        return cls(before, after, own, frozenset(value.ref.key for value in bundle))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where the bundle has policies, sorted."""
        return tuple(sorted({key.partition("/")[0] for key in self.own}))

    def isolates(self, workload: Workload, direction: Direction) -> bool:
        """Whether a policy of the bundle isolates these pods."""
        return any(
            policy.key in self.own and direction in policy.policy_types
            for policy in self.after.policies_for(workload)
        )

    def others(self, workload: Workload, direction: Direction) -> tuple[str, ...]:
        """The policies besides the bundle's that isolate these pods, sorted."""
        return tuple(
            sorted(
                policy.key
                for policy in self.after.policies_for(workload)
                if policy.key not in self.own and direction in policy.policy_types
            )
        )


def _is_of_bundle(policy: NetworkPolicy, own: frozenset[str]) -> bool:
    """Whether the bundle brings a policy of that name, or has brought this one before."""
    return policy.key in own or policy.labels.get(PART_OF) == OWNER


def _merged(bundle: Iterable[ClusterObject], cluster: Snapshot) -> list[ClusterObject]:
    """The bundle's objects; its Namespaces keep the labels that they have in the cluster, since applying
    merges labels."""
    return [
        replace(value, labels={**cluster.namespace(value.name).labels, **value.labels})
        if isinstance(value, Namespace)
        else value
        for value in bundle
    ]


class EffectJudge(FlowJudge):
    """Judges as the network does. The address of a Service is never a source: what its pods send has theirs,
    so an ipBlock of it in an ingress rule admits nobody (Kyma's keda-manager writes that of the Service
    `kubernetes` into the policy of its webhook: kyma-project/keda-manager pkg/reconciler/fsm.go, 1.12)."""

    def __init__(self, snapshot: Snapshot, view: MeshView, gate: HostGate) -> None:
        super().__init__(snapshot, view, gate)
        self.service_addresses = AddressSet.of(*_service_addresses(snapshot))

    def _judged(self, flow: RequiredFlow, how: Dialled) -> Verdict:
        verdict = super()._judged(flow, how)
        allowing = verdict.ingress.allowed_by
        left = tuple(ref for ref in allowing if not self.admits_nobody(ref))
        if len(left) == len(allowing):
            return verdict
        return replace(verdict, ingress=replace(verdict.ingress, allowed_by=left))

    def admits_nobody(self, ref: RuleRef) -> bool:
        """Whether an ingress rule names addresses of Services, and nobody else."""
        rule = ref.policy.rules(ref.direction)[ref.index]
        return bool(rule.peers) and not rule.selectors and rule.addresses <= self.service_addresses

    def on_paper(self, flow: RequiredFlow) -> tuple[RuleRef, ...]:
        """The rules that seem to allow a flow that nothing allows in effect."""
        verdict = super()._judged(flow, self.dialled(flow))
        allowing = verdict.ingress.allowed_by
        return allowing if allowing and all(map(self.admits_nobody, allowing)) else ()


def _service_addresses(snapshot: Snapshot) -> Iterator[Address]:
    for service in snapshot.every(Service):
        for text in service.cluster_ips:
            address = parse_address(text)
            if address is not None:
                yield address


ByWorkload = Mapping[ObjectKey, Sequence[RequiredFlow]]


class Examined:
    """`judge` says what holds with the bundle, `before` what held without it."""

    def __init__(self, applied: Applied, settings: Settings, resolver: Resolver) -> None:
        self.applied = applied
        self.table = FlowTable.of(applied.after, settings)
        self.view = self.table.view
        gate = gate_of(self.table, resolver)
        self.judge = EffectJudge(self.table.snapshot, self.view, gate)
        self.before = EffectJudge(applied.before, self.view, gate)

    def workloads(self, namespace: str) -> tuple[Workload, ...]:
        """The cluster's pods that policies concern; what the bundle brings itself is left to its proof."""
        brought = self.applied.brought
        return tuple(
            workload
            for workload in self.table.snapshot.workloads(namespace)
            if not workload.host_network and workload.ref.key not in brought
        )

    @cached_property
    def flows(self) -> tuple[RequiredFlow, ...]:
        """The required connections of which the bundle isolates an end, sorted."""
        touching = (flow for name in self.applied.namespaces for flow in self.table.touching(name))
        found = {flow.key: flow for flow in touching if any(self.ends(flow))}
        return tuple(sorted(found.values(), key=lambda flow: flow.sort_key))

    def ends(self, flow: RequiredFlow) -> Iterator[Direction]:
        """The sides of a flow that the bundle isolates."""
        for direction, peer in ((Direction.EGRESS, flow.source), (Direction.INGRESS, flow.destination)):
            if isinstance(peer, PodsPeer) and self.applied.isolates(peer.workload, direction):
                yield direction

    @cached_property
    def calls_by_api_server(self) -> ByWorkload:
        """The calls of webhooks and APIs by whom they reach."""
        called = (flow for flow in self.flows if flow.kind is FlowKind.WEBHOOK_FROM_APISERVER)
        return _by_workload((flow.destination, flow) for flow in called)

    @cached_property
    def sent(self) -> ByWorkload:
        """The required connections by who opens them."""
        return _by_workload((flow.source, flow) for flow in self.flows)

    def opens(self, workload: Workload, direction: Direction) -> bool:
        """Whether any policy, of a tier too, has a rule for these pods in a direction."""
        snapshot = self.table.snapshot
        return any(policy.rules(direction) for policy in snapshot.policies_for(workload)) or any(
            tier.rules(direction) for tier in snapshot.tiers_for(workload)
        )


def _by_workload(ends: Iterable[tuple[Peer, RequiredFlow]]) -> ByWorkload:
    found: defaultdict[ObjectKey, list[RequiredFlow]] = defaultdict(list)
    for peer, flow in ends:
        if isinstance(peer, PodsPeer):
            found[peer.workload.ref.key].append(flow)
    return found
