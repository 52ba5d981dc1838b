"""The missing policies of a snapshot: what `istio-netpol generate` prints."""

from __future__ import annotations

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.judge import HostTrouble
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.plan import PolicyPlan
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import OPERATOR


def generate(
    snapshot: Snapshot, settings: Settings, resolver: Resolver, per_namespace: bool = False
) -> tuple[NetworkPolicy, ...]:
    """The policies that open every denied flow which has the consent of both sides, sorted by namespace
    and name.

    Each selects only pods that are isolated already, so applying them never denies a connection.
    `per_namespace` writes one policy for all pods of a namespace where every pod may need the flow (istiod,
    DNS) and all are isolated.
    """
    table = FlowTable.of(snapshot, settings)
    judge = judge_of(table, resolver)
    plan = PolicyPlan(table.snapshot, judge.gate.blocks, OPERATOR, per_namespace=per_namespace)
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        judged = judge.resolved(flow)
        if not isinstance(judged, HostTrouble):
            plan.add(judged)
    return plan.policies()
