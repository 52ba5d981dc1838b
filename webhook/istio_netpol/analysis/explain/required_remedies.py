"""The policies for a connection that some object needs: the same ones that `generate` writes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from istio_netpol.analysis.check import FindingsWriter, judge_of
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.trust.authority import OPERATOR


def required_remedies(
    asked: Iterable[RequiredFlow], table: FlowTable, resolver: Resolver
) -> dict[Hashable, tuple[NetworkPolicy, ...]]:
    """The policies for those of the connections that objects need, by connection. What one object needs of
    the same pods stands in one policy, so all flows of these objects are looked at. Where several objects
    need the same, the first one's policies."""
    wanted = {connection(flow) for flow in asked}
    objects = {flow.object.key for flow in table.flows() if connection(flow) in wanted}
    writer = FindingsWriter(judge_of(table, resolver), OPERATOR, proposals=True)
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        if flow.object.key in objects:
            writer.take(flow)
    found: dict[Hashable, tuple[NetworkPolicy, ...]] = {}
    for finding in sorted(writer.findings(), key=lambda finding: finding.sort_key):
        if finding.flow is not None and finding.remedy:
            found.setdefault(connection(finding.flow), finding.remedy)
    return found


def connection(flow: RequiredFlow) -> Hashable:
    """A key that is equal for two flows with the same packets, whether or not a host was resolved."""
    return (_end(flow.source), _end(flow.destination), flow.protocol, flow.port)


def _end(peer: Peer) -> str:
    return HostPeer(peer.host).key if isinstance(peer, AddressPeer) and peer.host else peer.key
