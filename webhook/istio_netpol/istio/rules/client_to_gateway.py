"""Clients connect to the ports on which a Gateway listens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from istio_netpol.istio.offered_ports import PROXY_PORTS, GatewayClients, GatewayListeners
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.gateways import is_egress_gateway
from istio_netpol.istio.view.kubernetes_gateways import GatewayRole
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Severity
from istio_netpol.model.flows import DIRECTLY, FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.istio_networking import Gateway
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

NOT_FOR_CLIENTS = frozenset({"HBONE", "UDP"})
"""Protocols of listeners that no client outside the mesh reaches: HBONE is a waypoint's, except for an
east-west gateway's, and Istio opens no UDP listener (istio/istio issue 54163)."""

TUNNEL_PORT = 15008
"""Where ztunnels and waypoints of other networks reach an east-west gateway of ambient mode."""


class OpenedPort(Struct, frozen=True):
    """A port that a Gateway opens, and where it says so."""

    port: int
    field: str


def outcomes(gateway: Gateway | KubernetesGateway, view: MeshView) -> Iterator[Outcome]:
    """Flows from the clients that the gateway's Service lets in to its pods, one for each port that it opens.

    Clients of an egress gateway are in the mesh, those of a waypoint come through ztunnel: the object that
    sends them there has a rule for it.
    """
    if isinstance(gateway, Gateway):
        yield from _of_istio(gateway, view)
    elif (role := view.gateway_role(gateway)) not in (GatewayRole.WAYPOINT, GatewayRole.REMOTE):
        if role is GatewayRole.UNKNOWN:
            yield unknown(gateway.ref, "spec.gatewayClassName", _unknown_class(gateway), Severity.INFO)
        yield from _of_kubernetes(gateway, role, view)


def _of_istio(gateway: Gateway, view: MeshView) -> Iterator[Outcome]:
    pods = view.gateway_workloads(gateway)
    if not pods:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(gateway.selector.items()))
        sentence = (
            f"no gateway pods have the labels {labels}, {_neither_nor(gateway.ref.namespace)}; correct the "
            "selector, add the gateway's Deployment, or have its namespace trusted"
        )
        yield unknown(gateway.ref, "spec.selector", sentence)
    for pod in pods:
        if not is_egress_gateway(pod):
            listeners, clients = GatewayListeners(pod, view), GatewayClients(view.services_of(pod), pod)
            for position, server in enumerate(gateway.servers):
                opened = OpenedPort(server.port, f"spec.servers[{position}].port.number")
                yield opening(gateway.ref, opened, pod, listeners.port_for(server.port), clients)


def _nobody_behind(host: str, namespace: str) -> str:
    return (
        f"no gateway pods are behind {host}, {_neither_nor(namespace)}; correct the address, add the "
        "gateway's Deployment, or have its namespace trusted"
    )


def _neither_nor(namespace: str) -> str:
    return (
        f"neither in namespace {namespace} nor where only administrators write "
        "(admission.trustedNamespaces), so nobody serves this gateway"
    )


def _unknown_class(gateway: KubernetesGateway) -> str:
    return (
        f"there is no GatewayClass {gateway.class_name}, so nothing tells whether Istio serves this gateway; "
        "add the class, or correct the name"
    )


def _of_kubernetes(gateway: KubernetesGateway, role: GatewayRole, view: MeshView) -> Iterator[Outcome]:
    """The pods listen on the listeners' own ports; under a Hostname address these are ports of the Service it
    names."""
    pods = view.kubernetes_gateway_workloads(gateway)
    for position, host in enumerate(gateway.hostnames if role is not GatewayRole.FOREIGN else ()):
        field = f"spec.addresses[{position}]"
        if view.resolve_host(host, gateway.ref.namespace) is None:
            sentence = f"there is no Service with the host {host}; create it, or correct the address"
            yield unknown(gateway.ref, field, sentence)
        elif not pods:
            yield unknown(gateway.ref, field, _nobody_behind(host, gateway.ref.namespace))
    for pod in pods:
        if role is GatewayRole.EAST_WEST:
            yield from _from_other_networks(gateway, pod, view)
        yield from listening(gateway.ref, gateway, gateway.listeners, pod, view)


def listening(
    ref: ObjectRef,
    gateway: KubernetesGateway,
    listeners: Sequence[Listener],
    pod: Workload,
    view: MeshView,
    via: Via = DIRECTLY,
) -> Iterator[Outcome]:
    """The flows to pods of a Gateway on the ports of listeners, which an object adds."""
    translated = GatewayListeners(pod, view) if gateway.hostnames else None
    clients = GatewayClients(view.gateway_services(gateway, pod), pod)
    for position, listener in enumerate(listeners):
        if listener.protocol not in NOT_FOR_CLIENTS:
            opened = OpenedPort(listener.port, f"spec.listeners[{position}].port")
            port = translated.port_for(listener.port) if translated else listener.port
            yield opening(ref, opened, pod, port, clients, via)


def _from_other_networks(gateway: KubernetesGateway, pod: Workload, view: MeshView) -> Iterator[RequiredFlow]:
    """What proxies of other networks send, in tunnels, to the Services that are global."""
    clients = GatewayClients(view.gateway_services(gateway, pod), pod)
    for position, listener in enumerate(gateway.listeners):
        if listener.protocol == "HBONE":
            yield RequiredFlow(
                kind=FlowKind.CLIENT_TO_GATEWAY,
                object=gateway.ref,
                source=clients.of(listener.port),
                destination=PodsPeer(pod),
                protocol=Protocol.TCP,
                port=TUNNEL_PORT,
                reason=f"{gateway.ref} takes what other networks send",
                field=f"spec.listeners[{position}].port",
            )


def opening(
    ref: ObjectRef,
    opened: OpenedPort,
    pod: Workload,
    port: int,
    clients: GatewayClients,
    via: Via = DIRECTLY,
) -> Outcome:
    """The flow from its clients to a port of gateway pods; or why there can't be one."""
    if port in PROXY_PORTS:
        sentence = (
            f"{port} is a port of the gateway's own proxy, which a Gateway opens to no client; take "
            "another port"
        )
        return unknown(ref, opened.field, sentence)
    return RequiredFlow(
        kind=FlowKind.CLIENT_TO_GATEWAY,
        object=ref,
        source=clients.of(port),
        destination=PodsPeer(pod),
        protocol=Protocol.TCP,
        port=port,
        reason=f"{ref} opens port {opened.port} for its clients",
        field=opened.field,
        via=via,
    )


RULE = Rule(
    name="client-to-gateway",
    kind=FlowKind.CLIENT_TO_GATEWAY,
    subjects=(Gateway, KubernetesGateway),
    sources=(
        "https://istio.io/latest/docs/reference/config/networking/gateway/ (Istio 1.28)",
        "istio/istio pilot/pkg/model/gateway.go, mergeGateways",
        "https://kubernetes.io/docs/concepts/services-networking/service/ (types; Kubernetes 1.36)",
        "https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/ (deployment methods)",
        "istio/istio manifests/charts/istio-control/istio-discovery/files/kube-gateway.yaml",
        "https://istio.io/latest/docs/ambient/install/multicluster/multi-primary_multi-network/ (Istio 1.32)",
    ),
    outcomes=outcomes,
)
