"""Workloads under a deny-all of which nothing in the input says whom they talk to.

The rules derive what objects declare. Of a workload that only asks for its istiod and DNS they know nothing
else, which is not the same as knowing that it needs nothing: its owners have to be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.analysis.results import Undeclared
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.addresses import ALL_IPV4
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.own_names import MANAGED_BY, OWNER
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.tiers import Action, TierPolicy, TierRule

OF_EVERY_CLIENT = frozenset(
    {FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD, FlowKind.DNS, FlowKind.TRACING}
)
"""Flows that a pod has for its proxy's sake, whatever its application calls."""

OF_EVERY_SERVER = frozenset({FlowKind.SCRAPE})
"""Flows that lead to a pod whatever its application answers."""


def undeclared(table: FlowTable) -> tuple[Undeclared, ...]:
    """The isolated workloads for which no rule derives more than what every pod needs, sorted."""
    told, snapshot = set(_told(table.flows())), table.snapshot
    found = (
        Undeclared(workload.ref, tuple(_own_policies(policies)))
        for workload in table.stored.every_workload()
        if workload.ref.key not in told
        and not (workload.calls or workload.called_by)
        and ((policies := snapshot.policies_for(workload)) or _is_closed(snapshot.tiers_for(workload)))
    )
    return tuple(
        sorted(found, key=lambda workload: (workload.ref.namespace, workload.ref.kind, workload.ref.name))
    )


def _is_closed(policies: Iterable[TierPolicy]) -> bool:
    """Whether a tier denies pods by default: at every port, all other pods or every address."""
    return any(
        rule.action is Action.DENY and not rule.ports and _means_everybody(rule)
        for policy in policies
        for direction in Direction
        for rule in policy.rules(direction)
    )


def _means_everybody(rule: TierRule) -> bool:
    return not (ALL_IPV4 - rule.networks) or any(
        peer.namespace_selector == EVERYTHING and peer.pod_selector in (None, EVERYTHING)
        for peer in rule.selectors
    )


def _told(flows: Iterable[RequiredFlow]) -> Iterator[ObjectKey]:
    """The keys of the workloads of which some flow says something."""
    for flow in flows:
        if flow.kind not in OF_EVERY_CLIENT:
            yield from _keys(flow.source)
        if flow.kind not in OF_EVERY_SERVER and not _is_probe(flow):
            yield from _keys(flow.destination)


def _keys(peer: Peer) -> Iterator[ObjectKey]:
    if isinstance(peer, PodsPeer):
        yield peer.workload.ref.key


def _is_probe(flow: RequiredFlow) -> bool:
    """Whether the kubelet is the caller: it probes ambient pods, whoever else calls them."""
    return flow.kind is FlowKind.HBONE and not isinstance(flow.source, PodsPeer)


def _own_policies(policies: Iterable[NetworkPolicy]) -> Iterator[str]:
    """The policies that a person wrote for these pods and that allow something: a statement of the owners."""
    for policy in policies:
        is_generated = policy.labels.get(MANAGED_BY) == OWNER
        allows = any(policy.rules(direction) for direction in policy.policy_types)
        if allows and not is_generated and not policy.pod_selector.is_everything:
            yield policy.key
