"""Applies VirtualServices as sidecars do, to find where a client's traffic for a host really goes.

Which of its routes hold for a port, Istio decides by the protocol that it takes the port for. Source:
`ConvertProtocol` in `pkg/config/kube/conversion.go` and `Parse` in `pkg/config/protocol/instance.go`, Istio
1.31: `appProtocol` first, else the port's name up to its first dash. Of a port that says neither, the proxy
finds out when it is connected to.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import is_exported, overlap
from istio_netpol.istio.virtual_services import MESH, RouteLeg, ServedRoute, routes_of
from istio_netpol.model.findings import Finding
from istio_netpol.model.istio_networking import RouteMatch, ServiceEntry, ServiceEntryPort, VirtualService
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reads import Index

MOST_UNHEEDED = 3
"""How many VirtualServices of other tenants are reported for a host. They count for whoever calls it."""

MeshRoutes = tuple[tuple[ServedRoute, ...], ...]
"""The routes for a host, of each VirtualService that has any."""


class Call(Struct, frozen=True):
    """What a client addresses. `kinds` are the routes that hold for the port (`http`, `tls`, `tcp`), none
    where that turns out only when a client connects."""

    client: Workload
    host: str
    port: int
    kinds: frozenset[str]


class Rerouted(Struct, frozen=True):
    """Where routes send a call. `is_whole` says that they leave none of it to the host itself."""

    legs: tuple[RouteLeg, ...] = ()
    is_whole: bool = False


def mesh_routes(view: MeshView, host: str, namespace: str) -> MeshRoutes:
    """The routes that sidecars of a namespace have for a host.

    VirtualServices of the namespace itself, of the namespace of the Service that the host is, and of
    administrators count. No other tenant says where a client connects.
    """
    found = (
        _routes(service, view)
        for service in _exported(view, host, namespace)
        if _is_heeded(service, host, namespace, view)
    )
    return tuple(routes for routes in found if routes)


def rerouted(routes: MeshRoutes, call: Call) -> Rerouted:
    """Where routes send a call. Of several VirtualServices with the same host one counts, and nothing tells
    which. So the host itself is left out only if each of them sends the call elsewhere."""
    legs: dict[RouteLeg, None] = {}
    is_whole = bool(routes)
    for of_service in routes:
        covered = False
        for served in of_service:
            if covered or not _holds(served, call):
                continue
            legs.update(dict.fromkeys(served.legs))
            covered = _is_whole(served, call)
        is_whole = is_whole and covered
    return Rerouted(tuple(legs), is_whole)


def _holds(served: ServedRoute, call: Call) -> bool:
    """Whether a part of the call can match."""
    if call.kinds and served.chain[-1].protocol not in call.kinds:
        return False
    return all(
        not route.matches or any(_matches(match, call) for match in route.matches) for route in served.chain
    )


def _is_whole(served: ServedRoute, call: Call) -> bool:
    """Whether a route takes all of a call that can match it, and leaves none of it to the next route."""
    leads = served.chain[-1]
    return (
        bool(call.kinds)
        and bool(leads.destinations or leads.is_answered)
        and all(
            not route.matches
            or any(_matches(match, call) and not match.is_partial for match in route.matches)
            for route in served.chain
        )
    )


def _matches(match: RouteMatch, call: Call) -> bool:
    return (
        (not match.gateways or MESH in match.gateways)
        and match.port in (0, call.port)
        and match.source_namespace in ("", call.client.namespace)
        and all(call.client.labels.get(key) == value for key, value in match.source_labels)
        and (not match.sni_hosts or any(overlap(host, call.host) for host in match.sni_hosts))
    )


def unheeded_routes(view: MeshView, host: str, namespace: str) -> tuple[VirtualService, ...]:
    """The VirtualServices of other tenants that sidecars of the namespace follow for the host, and that are
    not heeded here: the first few, for anybody may write thousands."""
    found = (
        service
        for service in _exported(view, host, namespace)
        if not _is_heeded(service, host, namespace, view) and _leads_sidecars(service)
    )
    return tuple(islice(found, MOST_UNHEEDED))


def _exported(view: MeshView, host: str, namespace: str) -> Iterator[VirtualService]:
    for service in _routing(view, host.rstrip(".").lower()):
        if is_exported(service.export_to, service.ref.namespace, namespace):
            yield service


def _is_heeded(service: VirtualService, host: str, namespace: str, view: MeshView) -> bool:
    home = service.ref.namespace
    return home in {namespace, view.home_of_service(host, namespace)} or home in view.trusted_namespaces


def _leads_sidecars(service: VirtualService) -> bool:
    """Whether a route says where sidecars connect, as far as it is written here. Nobody looks up what a
    tenant delegates to."""
    return MESH in (service.gateways or (MESH,)) and any(
        (route.destinations or route.delegate) and MESH in (route.gateways or (MESH,))
        for route in service.routes
    )


def _routes(service: VirtualService, view: MeshView) -> tuple[ServedRoute, ...]:
    return tuple(
        served
        for served in routes_of(service, view)
        if not isinstance(served, Finding) and MESH in served.gateways
    )


def _routing(view: MeshView, host: str) -> Iterator[VirtualService]:
    """The VirtualServices with the host among theirs; they may write a Service of their namespace by name."""
    in_full = f".svc.{view.settings.mesh.cluster_domain}"
    written = (host, f"{host.removesuffix(in_full)}.svc") if host.endswith(in_full) else (host,)
    return view.by_key(VIRTUAL_SERVICE_HOSTS, *written)


def _hosts_of(service: VirtualService) -> Iterator[str]:
    """The hosts as `_routing` looks for them: a name without a dot is a Service of the namespace."""
    for written in service.hosts:
        host = written.rstrip(".").lower()
        yield host if "." in host or host == "*" else f"{host}.{service.ref.namespace}.svc"


VIRTUAL_SERVICE_HOSTS = Index("virtual-service-hosts", VirtualService, _hosts_of)


_HTTP, _TLS, _TCP = frozenset({"http"}), frozenset({"tls", "tcp"}), frozenset({"tcp"})
_ROUTES = {
    **dict.fromkeys(("http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"), _HTTP),
    **dict.fromkeys(("https", "tls", "kubernetes.io/wss"), _TLS),
    **dict.fromkeys(("tcp", "mongo", "mysql", "redis"), _TCP),
}


def routes_of_port(port: ServicePort | ServiceEntryPort) -> frozenset[str]:
    """The lists of a VirtualService (`http`, `tls`, `tcp`) that hold for a port; empty where nobody can
    tell before a client connects."""
    if isinstance(port, ServiceEntryPort):
        return _ROUTES.get(port.protocol.lower(), frozenset())
    if port.app_protocol:
        return _ROUTES.get(port.app_protocol.lower(), frozenset())
    name = port.name.lower()
    return (
        _ROUTES["grpc-web"]
        if name.startswith("grpc-web")
        else _ROUTES.get(name.partition("-")[0], frozenset())
    )


def routes_on(target: Service | ServiceEntry, number: int) -> frozenset[str]:
    """The same for a port of a Service or ServiceEntry by its number; empty where it lacks that port."""
    if isinstance(target, Service):
        found: ServicePort | ServiceEntryPort | None = next(
            (port for port in target.ports if port.port == number), None
        )
    else:
        found = next((port for port in target.ports if port.number == number), None)
    return routes_of_port(found) if found else frozenset()
