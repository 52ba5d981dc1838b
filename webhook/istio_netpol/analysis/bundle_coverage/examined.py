"""One cluster under one bundle, with the judges of both states and the required connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from istio_netpol.analysis.bundle_coverage.applied import Applied
from istio_netpol.analysis.bundle_coverage.effect import EffectJudge
from istio_netpol.analysis.check import gate_of
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload

WorkloadKey = tuple[str, str, str, str]
ByWorkload = Mapping[WorkloadKey, Sequence[RequiredFlow]]


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
    found: defaultdict[WorkloadKey, list[RequiredFlow]] = defaultdict(list)
    for peer, flow in ends:
        if isinstance(peer, PodsPeer):
            found[peer.workload.ref.key].append(flow)
    return found
