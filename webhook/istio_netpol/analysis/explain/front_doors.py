"""Where a host enters a mesh: the gateways that serve it, and the objects that bind it to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.istio.gateway_attachment import Attachment, admits, refusal
from istio_netpol.istio.rules.kubernetes_routes import attachment_of
from istio_netpol.istio.view.kubernetes_gateways import GatewayRole
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import overlap
from istio_netpol.istio.virtual_services import INTERNAL_GATEWAY, MESH, Server, servers_of
from istio_netpol.model.findings import Finding
from istio_netpol.model.gateway_api import KubernetesGateway, KubernetesRoute, Listener, ParentRef
from istio_netpol.model.ingress import Ingress, IngressBackend
from istio_netpol.model.istio_networking import Gateway, GatewayServer, VirtualService
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
_PASSING_ON = frozenset({"PASSTHROUGH", "AUTO_PASSTHROUGH"})
_ROUTES_BY_HOST = frozenset({"HTTPRoute", "GRPCRoute", "TLSRoute"})


class FrontDoor(Struct, frozen=True):
    """A port on which a gateway takes a host. `ref` and `field` are who opens it, in whose name its clients
    need it; `kind` is the list of routes that holds there: http, tls or tcp."""

    ref: ObjectRef
    field: str
    port: int
    kind: str
    pods: tuple[Workload, ...]

    def __str__(self) -> str:
        return f"{self.ref} port {self.port}"


class BoundService(Struct, frozen=True):
    """A VirtualService at a door, by the host of it that covers what is asked for; `gateway` is the name by
    which its routes know the door."""

    service: VirtualService
    gateway: str
    door: FrontDoor
    pattern: str


class BoundRoute(Struct, frozen=True):
    """A route of the Gateway API at a door, by the hostname that covers what is asked for."""

    route: KubernetesRoute
    door: FrontDoor
    pattern: str


class BoundIngress(Struct, frozen=True):
    """A path of an Ingress, by the host that covers what is asked for."""

    ingress: Ingress
    backend: IngressBackend
    pattern: str


def bound_services(snapshot: Snapshot, view: MeshView, asked: str) -> Iterator[BoundService | Finding]:
    """The VirtualServices with a host that covers what is asked for, at each of their doors; findings for
    gateways that do not take them."""
    for service in snapshot.every(VirtualService):
        home = service.ref.namespace
        names = [view.full_name(host, home) for host in service.hosts]
        patterns = [name for name in names if overlap(name, asked)]
        if not patterns or set(service.gateways or (MESH,)) == {MESH}:
            continue
        for server in servers_of(service, view):
            if isinstance(server, Finding):
                yield server
                continue
            for door in _doors_of(server, service, asked, view):
                yield from (BoundService(service, server.name, door, pattern) for pattern in patterns)


def _doors_of(server: Server, service: VirtualService, asked: str, view: MeshView) -> Iterator[FrontDoor]:
    namespace, _, name = server.name.partition("/")
    if INTERNAL_GATEWAY.search(name):
        bare, section = INTERNAL_GATEWAY.split(name, maxsplit=1)
        kubernetes = view.find_kubernetes_gateway(namespace, bare)
        for index, listener in enumerate(kubernetes.listeners if kubernetes else ()):
            if kubernetes and listener.name == section:
                yield _door(kubernetes.ref, index, listener, server.pods)
        return
    gateway = view.find(Gateway, namespace, name)
    if gateway is None:
        ref = ObjectRef("networking.istio.io/v1", "Gateway", namespace, name)
        yield from (FrontDoor(ref, "", port, "http", server.pods) for port in sorted(server.ports))
        return
    for index, entry in enumerate(gateway.servers):
        if entry.port in server.ports and _takes(entry, gateway, service.ref.namespace, asked):
            field = f"spec.servers[{index}].port.number"
            yield FrontDoor(gateway.ref, field, entry.port, _kind_of(entry), server.pods)


def _takes(server: GatewayServer, gateway: Gateway, home: str, asked: str) -> bool:
    """Whether a server takes a host for VirtualServices of a namespace."""
    for entry in server.hosts:
        written, _, pattern = entry.rpartition("/")
        is_admitted = written in ("", "*", home) or (written == "." and gateway.ref.namespace == home)
        if is_admitted and overlap(pattern, asked):
            return True
    return not server.hosts


def _kind_of(server: GatewayServer) -> str:
    """The list of a VirtualService that holds at a server (`buildGatewayListener…` by `IsTLS` and
    `IsHTTP` in `pilot/pkg/networking/core/gateway.go`, Istio 1.31)."""
    protocol = server.protocol.upper()
    if protocol in _HTTP or (protocol == "HTTPS" and server.tls_mode not in _PASSING_ON):
        return "http"
    return "tls" if protocol in ("HTTPS", "TLS") and server.tls_mode in _PASSING_ON else "tcp"


def bound_routes(snapshot: Snapshot, view: MeshView, asked: str) -> Iterator[BoundRoute]:
    """The routes of the Gateway API with a hostname that covers what is asked for, at each of their
    listeners."""
    for route in snapshot.every(KubernetesRoute):
        if route.ref.kind in _ROUTES_BY_HOST:
            for parent in route.parents:
                yield from _at_parent(route, parent, asked, view)


def _at_parent(route: KubernetesRoute, parent: ParentRef, asked: str, view: MeshView) -> Iterator[BoundRoute]:
    attachment = attachment_of(route, parent, "", view)
    if isinstance(attachment, Finding) or refusal(route, parent, attachment, view):
        return
    role = view.gateway_role(attachment.gateway)
    if role in (GatewayRole.WAYPOINT, GatewayRole.REMOTE):
        return
    pods = view.kubernetes_gateway_workloads(attachment.gateway)
    for index, listener in enumerate(attachment.listeners):
        if _means(parent, listener, route, attachment, view):
            for pattern in route.hostnames or (listener.hostname or "*",):
                if overlap(pattern, asked) and overlap(listener.hostname or "*", asked):
                    yield BoundRoute(route, _door(attachment.ref, index, listener, pods), pattern)


def _means(
    parent: ParentRef, listener: Listener, route: KubernetesRoute, attachment: Attachment, view: MeshView
) -> bool:
    is_named = parent.section_name in ("", listener.name) and parent.port in (None, listener.port)
    return is_named and admits(listener, route.ref.namespace, attachment.ref.namespace, view)


def _door(ref: ObjectRef, index: int, listener: Listener, pods: tuple[Workload, ...]) -> FrontDoor:
    kind = "http" if listener.protocol in ("HTTP", "HTTPS") else "tls"
    return FrontDoor(ref, f"spec.listeners[{index}].port", listener.port, kind, pods)


def bound_ingresses(ingresses: Iterable[Ingress], asked: str) -> Iterator[BoundIngress]:
    """The paths of Ingresses for what is asked for."""
    for ingress in ingresses:
        for backend in ingress.backends:
            pattern = backend.host or "*"
            if overlap(pattern, asked):
                yield BoundIngress(ingress, backend, pattern)


def listening(snapshot: Snapshot, asked: str) -> Iterator[ObjectRef]:
    """The Gateways that take a host, whether or not anything routes it."""
    for gateway in snapshot.every(Gateway):
        patterns = (host.rpartition("/")[2] for server in gateway.servers for host in server.hosts)
        if any(overlap(pattern, asked) for pattern in patterns):
            yield gateway.ref
    for kubernetes in snapshot.every(KubernetesGateway):
        if any(overlap(listener.hostname or "*", asked) for listener in kubernetes.listeners):
            yield kubernetes.ref


def served_hosts(snapshot: Snapshot, view: MeshView, ingresses: Iterable[Ingress]) -> list[str]:
    """The hosts that gateways of the input serve, sorted."""
    found: set[str] = set()
    for bound in bound_services(snapshot, view, "*"):
        if isinstance(bound, BoundService):
            found.add(bound.pattern)
    found.update(bound.pattern for bound in bound_routes(snapshot, view, "*"))
    found.update(bound.pattern for bound in bound_ingresses(ingresses, "*"))
    return sorted(found)
