"""HBONE: how connections look on the wire where ambient mode carries them.

ztunnel tunnels TCP between pods of the mesh over port 15008, and sends what is meant for a Service with a
waypoint to that waypoint first. A NetworkPolicy sees the tunnel, not what is in it.

Sources: istio.io/latest/docs/ambient/usage/networkpolicy/ and .../usage/waypoint/ (Istio 1.28);
`findServiceWaypoint` in `pilot/pkg/xds/endpoints/endpoint_builder.go` (sidecars do not use waypoints,
gateways only where the Service opts in, none without a virtual IP).
"""

from __future__ import annotations

from msgspec.structs import replace

from istio_netpol.istio.gateway_attachment import admits
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import Peer, PodsPeer
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

HBONE_PORT = 15008
USE_WAYPOINT = "istio.io/use-waypoint"
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"
INGRESS_USE_WAYPOINT = "istio.io/ingress-use-waypoint"
_FOR_SERVICES = frozenset({"service", "all"})


def wire_port(view: MeshView, client: Peer, server: Peer, protocol: Protocol, port: int) -> int:
    """The port that policies see: 15008 where both ends are in the mesh and one of them is in ambient mode,
    else the port itself.

    Only TCP is tunnelled. An ambient pod is tunnelled to by whatever is in the mesh; a sidecar accepts
    tunnels of ambient pods, a gateway does not.
    """
    if protocol is not Protocol.TCP or not isinstance(client, PodsPeer) or not isinstance(server, PodsPeer):
        return port
    tunnelled = tunnels(view, client.workload, server.workload)
    return HBONE_PORT if tunnelled else port


def tunnels(view: MeshView, client: Workload, server: Workload) -> bool:
    """Whether TCP between these pods goes through a tunnel."""
    if view.is_ambient(server):
        return view.is_ambient(client) or view.in_mesh(client) or view.is_gateway(client)
    return view.is_ambient(client) and view.in_mesh(server) and not view.is_gateway(server)


def reached(
    view: MeshView, client: Workload, service: Service | ServiceEntry | None, backend: Backend
) -> tuple[Backend, ...]:
    """Where a client's packets for a backend of a Service go: to the backend itself, to its tunnel port, or
    to a waypoint before it.

    What the waypoint in turn connects to is the waypoint's own need.
    """
    is_pods = isinstance(service, Service) and isinstance(backend.peer, PodsPeer)
    if service and backend.protocol is Protocol.TCP and (is_pods or isinstance(service, ServiceEntry)):
        waypoint = waypoint_between(view, client, service)
        if waypoint:
            return tuple(Backend(PodsPeer(pod), Protocol.TCP, HBONE_PORT) for pod in waypoint)
    port = wire_port(view, PodsPeer(client), backend.peer, backend.protocol, backend.port)
    return (backend if port == backend.port else replace(backend, port=port),)


def waypoint_between(
    view: MeshView, client: Workload, service: Service | ServiceEntry
) -> tuple[Workload, ...]:
    """The waypoint pods that a client's connections to a Service or ServiceEntry pass through; none where
    they don't."""
    if view.is_ambient(client):
        return waypoint_pods(view, service)
    if view.is_gateway(client) and _opted(view, service, INGRESS_USE_WAYPOINT) == "true":
        return tuple(pod for pod in waypoint_pods(view, service) if pod.ref.key != client.ref.key)
    return ()


def waypoint_pods(view: MeshView, service: Service | ServiceEntry) -> tuple[Workload, ...]:
    """The pods of the waypoint that a Service or ServiceEntry uses; none where it has no virtual IP or the
    waypoint does not exist."""
    named = waypoint_of(view, service)
    if named is None or not has_virtual_ip(service):
        return ()
    gateway = view.find_kubernetes_gateway(*named)
    if gateway is None or not serves_namespace(gateway, service.ref.namespace, view):
        return ()
    return view.kubernetes_gateway_workloads(gateway)


def has_virtual_ip(service: Service | ServiceEntry) -> bool:
    """Whether connections are recognised by an address that is not an endpoint's, as waypoints need it."""
    return service.has_virtual_ip if isinstance(service, ServiceEntry) else not service.is_headless


def serves_namespace(gateway: KubernetesGateway, namespace: str, view: MeshView) -> bool:
    """Whether a waypoint serves Services of a namespace: it is for Services, and they are of its own
    namespace or of one that its listeners' allowedRoutes admit (`Waypoint.AllowedRoutes` in
    `pilot/pkg/serviceregistry/ambient/waypoints.go`, Istio 1.28)."""
    if view.waypoint_for(gateway) not in _FOR_SERVICES:
        return False
    return namespace == gateway.ref.namespace or any(
        admits(listener, namespace, gateway.ref.namespace, view) for listener in gateway.listeners
    )


def is_waypoint_before(backend: Backend, wire: Backend) -> bool:
    """Whether packets for somebody outside go to the pods of a waypoint first."""
    return isinstance(wire.peer, PodsPeer) and not isinstance(backend.peer, PodsPeer)


def meant_by(backend: Backend, wire: Backend) -> tuple[Workload | None, int]:
    """The pods that a client means, and their own port, where its packets go through a tunnel or to a
    waypoint; (None, 0) where they go there themselves."""
    if wire == backend or not isinstance(backend.peer, PodsPeer):
        return None, 0
    return backend.peer.workload, backend.port


def waypoint_of(view: MeshView, service: Service | ServiceEntry) -> tuple[str, str] | None:
    """(namespace, name) of the waypoint that labels choose for a Service or ServiceEntry: its own label
    before its namespace's; `none` opts out."""
    for labels in (service.labels, view.namespace_labels(service.ref.namespace)):
        name = labels.get(USE_WAYPOINT)
        if name == "none":
            return None
        if name:
            return (labels.get(USE_WAYPOINT_NAMESPACE) or service.ref.namespace, name)
    return None


def _opted(view: MeshView, service: Service | ServiceEntry, label: str) -> str:
    own = service.labels.get(label)
    return view.namespace_labels(service.ref.namespace).get(label, "") if own is None else own
