"""Whether what a symptom says was called can be a gateway's port or the API server.

Flows of clients to gateways and of pods to the API server have no name by which a line could call them: what
leads there is a host that a gateway takes, a Service, or an address that is not of the input.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.explain.front_doors import listening
from istio_netpol.analysis.symptom_causes.ends import Ends
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.flows import FlowKind, HostPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.istio_networking import Gateway

_DOORS = frozenset({FlowKind.CLIENT_TO_GATEWAY, FlowKind.TO_APISERVER})
_API_SERVER_PORT = 443
"""Of the Service `kubernetes`, whatever port the API server has itself."""


def can_be_called(flow: RequiredFlow, ends: Ends, table: FlowTable) -> bool:
    """Whether a flow to a gateway or to the API server leads to what the line says was called. Every flow
    does where the line does not say it, and those of other kinds are told by their destination."""
    if flow.kind not in _DOORS or ends.targets is None:
        return True
    return any(_leads_there(flow, peer, own_port, ends, table) for peer, own_port in ends.targets)


def _leads_there(flow: RequiredFlow, peer: Peer, own_port: int, ends: Ends, table: FlowTable) -> bool:
    if isinstance(peer, PodsPeer):
        is_same = (
            isinstance(flow.destination, PodsPeer)
            and peer.workload.peer_name == flow.destination.workload.peer_name
        )
        return is_same and own_port in (0, flow.port)
    to_gateway = flow.kind is FlowKind.CLIENT_TO_GATEWAY
    if to_gateway and isinstance(peer, HostPeer) and not any(listening(table.snapshot, peer.host)):
        return False
    port = ends.called[1] if ends.called else 0
    return port in (0, flow.port, *_ports_before(flow, table))


def _ports_before(flow: RequiredFlow, table: FlowTable) -> Iterator[int]:
    """The ports under which clients know a flow's destination: those of the Services before its pods, and of
    the Gateway that asks for it."""
    if flow.kind is FlowKind.TO_APISERVER:
        yield _API_SERVER_PORT
        return
    gateway = table.snapshot.find(Gateway, flow.object.namespace, flow.object.name)
    if gateway is not None and gateway.ref.key == flow.object.key:
        yield from (server.port for server in gateway.servers)
    if isinstance(flow.destination, PodsPeer):
        for service in table.view.services_of(flow.destination.workload):
            for port in service.ports:
                yield from (port.port, port.node_port)
