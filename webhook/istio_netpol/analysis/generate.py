"""The missing policies of a snapshot: what `istio-netpol generate` prints.

Explanations show those of them that open the connections which they follow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.findings_writer import FindingsWriter
from istio_netpol.analysis.flow_verdicts import HostTrouble
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.ahead import Ahead, Today, ahead
from istio_netpol.remedies.plan import PolicyPlan
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import OPERATOR


def generate(
    snapshot: Snapshot,
    settings: Settings,
    resolver: Resolver,
    per_namespace: bool = False,
    *,
    proposals: bool = False,
) -> tuple[NetworkPolicy, ...]:
    """The policies that open every denied flow which has the consent of both sides, sorted by namespace
    and name.

    Each selects only pods that are isolated already, so applying them never denies a connection.
    `per_namespace` writes one policy for all pods of a namespace where every pod may need the flow (istiod,
    DNS) and all are isolated. `proposals` also opens what is denied by assumption only.
    """
    return _Missing(snapshot, settings, resolver, proposals).policies(per_namespace)


def generate_ahead(
    snapshot: Snapshot,
    today: Snapshot,
    settings: Settings,
    resolver: Resolver,
    per_namespace: bool = False,
    *,
    proposals: bool = False,
) -> Ahead:
    """The same for a state that is not there yet, to be applied to the one of `today`: what isolates pods
    that are open there allows at once all that they need."""
    missing = _Missing(snapshot, settings, resolver, proposals)
    tight = missing.policies(per_namespace=False) if per_namespace else None
    return ahead(missing.policies(per_namespace), Today.of(today, settings), tight)


class _Missing:
    """The denied flows of a snapshot, and the policies that open them."""

    def __init__(self, snapshot: Snapshot, settings: Settings, resolver: Resolver, proposals: bool) -> None:
        table = FlowTable.of(snapshot, settings)
        self._snapshot = table.snapshot
        self._judge = judge_of(table, resolver)
        flows = sorted(table.flows(), key=lambda flow: flow.sort_key)
        outcomes = (outcome for flow in flows for outcome in self._judge.resolved(flow))
        judged = [outcome for outcome in outcomes if not isinstance(outcome, HostTrouble)]
        self._judged = [flow for flow in judged if proposals or not self._judge.is_assumed(flow)]

    def policies(self, per_namespace: bool) -> tuple[NetworkPolicy, ...]:
        plan = PolicyPlan(self._snapshot, self._judge.gate.blocks, OPERATOR, per_namespace=per_namespace)
        for judged in self._judged:
            plan.add(judged)
        return plan.policies()


def required_remedies(
    asked: Iterable[RequiredFlow], table: FlowTable, resolver: Resolver
) -> dict[Hashable, tuple[NetworkPolicy, ...]]:
    """The policies for those of the connections that objects need, by connection. What one object needs of
    the same pods stands in one policy, so all flows of these objects are looked at. Where several objects
    need the same, the first one's policies."""
    wanted = {packets_key(flow) for flow in asked}
    objects = {flow.object.key for flow in table.flows() if packets_key(flow) in wanted}
    writer = FindingsWriter(judge_of(table, resolver), OPERATOR, proposals=True)
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        if flow.object.key in objects:
            writer.take(flow)
    found: dict[Hashable, tuple[NetworkPolicy, ...]] = {}
    for finding in sorted(writer.findings(), key=lambda finding: finding.sort_key):
        if finding.flow is not None and finding.remedy:
            found.setdefault(packets_key(finding.flow), finding.remedy)
    return found


def packets_key(flow: RequiredFlow) -> Hashable:
    """A key that is equal for two flows with the same packets, whether or not a host was resolved."""
    return (_end(flow.source), _end(flow.destination), flow.protocol, flow.port)


def _end(peer: Peer) -> str:
    return HostPeer(peer.host).key if isinstance(peer, AddressPeer) and peer.host else peer.key
