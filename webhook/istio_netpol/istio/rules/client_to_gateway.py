"""Clients connect to the ports on which a Gateway listens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from istio_netpol.istio.gateways import is_egress_gateway, is_waypoint
from istio_netpol.istio.listeners import listener_port
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AnyPeer, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.mesh import Gateway
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

if TYPE_CHECKING:
    from istio_netpol.istio.mesh_view import MeshView

CLIENTS = AnyPeer("clients of the gateway")


def outcomes(gateway: Gateway | KubernetesGateway, view: MeshView) -> Iterator[Outcome]:
    """From anywhere to the gateway's pods, once for each port that it opens.

    An egress gateway has clients in the mesh only, and a waypoint is reached through ztunnel: other rules know theirs.
    """
    if isinstance(gateway, KubernetesGateway):
        yield from _of_kubernetes(gateway, view)
        return
    pods = view.gateway_workloads(gateway)
    if not pods:
        yield _without_pods(gateway)
    for pod in pods:
        if is_egress_gateway(pod):
            continue
        for position, server in enumerate(gateway.servers):
            field = f"spec.servers[{position}].port.number"
            port = listener_port(server.port, pod, view)
            yield _flow(gateway.ref, pod, port, Protocol.TCP, server.port, field)


def _of_kubernetes(gateway: KubernetesGateway, view: MeshView) -> Iterator[Outcome]:
    if is_waypoint(gateway):
        return
    for pod in view.kubernetes_gateway_workloads(gateway):
        for position, listener in enumerate(gateway.listeners):
            protocol = Protocol.UDP if listener.protocol == "UDP" else Protocol.TCP
            port = listener_port(listener.port, pod, view)
            yield _flow(gateway.ref, pod, port, protocol, listener.port, f"spec.listeners[{position}].port")


def _flow(
    ref: ObjectRef, pod: Workload, port: int, protocol: Protocol, opened: int, field: str
) -> RequiredFlow:
    reason = f"the gateway is opened on port {opened} for its clients"
    return RequiredFlow(
        FlowKind.CLIENT_TO_GATEWAY, ref, CLIENTS, PodsPeer(pod), protocol, port, reason, field=field
    )


def _without_pods(gateway: Gateway) -> Finding:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(gateway.selector.items()))
    message = (
        f"{gateway.ref}: spec.selector ({labels or 'empty'}) selects no pods of the input, so nobody serves this gateway; "
        "correct the selector, or add the gateway's Deployment"
    )
    return Finding(
        Issue.UNKNOWN_DESTINATION, Severity.WARNING, gateway.ref, message, field="spec.selector"
    )


RULE = Rule(
    name="client-to-gateway",
    kind=FlowKind.CLIENT_TO_GATEWAY,
    subjects=(Gateway, KubernetesGateway),
    sources=(
        "https://istio.io/latest/docs/reference/config/networking/gateway/ (Istio 1.28)",
        "istio/istio pilot/pkg/model/gateway.go, mergeGateways: a server's port is a port of the gateway's Service",
        "https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/",
    ),
    outcomes=outcomes,
)
