"""Which gateways serve the routes of a VirtualService, and where each route leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from istio_netpol.istio.unnamed import not_granted, unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.names import is_exported, overlap
from istio_netpol.model.findings import Finding
from istio_netpol.model.mesh import Destination, Gateway, GatewayServer, Route, VirtualService
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

MESH = "mesh"
"""The name that stands for all sidecars."""


@dataclass(frozen=True, slots=True)
class Server:
    """A gateway that serves a VirtualService: its pods, and the ports that it opens. `admitting` is the
    Gateway's namespace where its `hosts` name that of the VirtualService."""

    name: str
    pods: tuple[Workload, ...]
    ports: frozenset[int]
    admitting: str = ""


@dataclass(frozen=True, slots=True)
class Leg:
    """One destination of a route.

    `written_in` is the VirtualService that names it: the root one, or its delegate. `root` has the gateways.
    """

    destination: Destination
    written_in: ObjectRef
    gateways: frozenset[str]
    root: ObjectRef

    @property
    def authors(self) -> tuple[str, ...]:
        """The namespaces that say where clients connect."""
        return (self.root.namespace, self.written_in.namespace)


def gateway_name(written: str, namespace: str) -> str:
    """`namespace/name` of a gateway reference: a bare name and `./name` are of the VirtualService's own
    namespace, `name.ns` and `name.ns.svc.cluster.local` are the old way to name another.

    Source: `resolveGatewayName` in `pilot/pkg/model/virtualservice.go` and `push_context.go`, Istio 1.28.
    """
    if written == MESH:
        return written
    if "/" in written:
        return namespace + written[1:] if written.startswith("./") else written
    name, _, rest = written.partition(".")
    return f"{rest.partition('.')[0] or namespace}/{name}"


def servers_of(service: VirtualService, view: MeshView) -> Iterator[Server | Finding]:
    """The gateways that a VirtualService names, and findings for those that can't be found or do not take it.

    `exportTo` limits in which namespaces gateways see the VirtualService (`initVirtualServices` in
    `pilot/pkg/model/push_context.go`), the `hosts` of a Gateway's servers which VirtualServices it takes.
    """
    home = service.ref.namespace
    for name in dict.fromkeys(gateway_name(each, home) for each in service.gateways):
        if name == MESH:
            continue
        gateway = view.find(Gateway, *name.split("/", 1))
        if gateway is None:
            yield _unknown_gateway(service, name)
            pods: tuple[Workload, ...] = _assumed_pods(name, home, view)
            ports = frozenset({80, 443})
        else:
            ports = frozenset(each.port for each in gateway.servers if _serves(gateway, each, service, view))
            if not ports:
                yield _not_taken(service, gateway)
                continue
            pods = view.gateway_workloads(gateway)
        seen = tuple(pod for pod in pods if is_exported(service.export_to, home, pod.namespace))
        yield Server(name, seen, ports, _admitting(gateway, home))


def _admitting(gateway: Gateway | None, namespace: str) -> str:
    """The Gateway's namespace, where the `hosts` of a server name this one; `*` and `.` name nobody."""
    servers = gateway.servers if gateway else ()
    is_named = any(host.rpartition("/")[0] == namespace for server in servers for host in server.hosts)
    return gateway.ref.namespace if gateway and is_named else ""


def _serves(gateway: Gateway, server: GatewayServer, service: VirtualService, view: MeshView) -> bool:
    """Whether a server takes a host of the VirtualService: its `hosts` are `[namespace/]pattern`, where the
    namespace limits whose VirtualServices may bind to it.

    Source: `pickMatchingGatewayHosts` in `pilot/pkg/networking/core/gateway.go`, Istio 1.28.
    """
    home = service.ref.namespace
    for entry in server.hosts:
        written, _, pattern = entry.rpartition("/")
        allowed = gateway.ref.namespace if written == "." else written
        if allowed in ("", "*", home) and any(
            overlap(pattern, view.full_name(host, home)) for host in service.hosts
        ):
            return True
    return not server.hosts


def _not_taken(service: VirtualService, gateway: Gateway) -> Finding:
    offered = ", ".join(dict.fromkeys(host for server in gateway.servers for host in server.hosts)) or "none"
    sentence = (
        f"{gateway.ref} takes none of {', '.join(service.hosts)} from namespace {service.ref.namespace}, "
        f"its hosts are {offered}; correct the hosts on one side"
    )
    return not_granted(service.ref, "spec.hosts", sentence)


def _unknown_gateway(service: VirtualService, name: str) -> Finding:
    sentence = f"there is no Gateway {name}; create it, or correct the name"
    return unknown(service.ref, "spec.gateways", sentence)


def _assumed_pods(name: str, home: str, view: MeshView) -> tuple[Workload, ...]:
    """The stand-in, where the input holds nothing of the Gateway's namespace: it is an app alone."""
    namespace, _, bare = name.partition("/")
    if namespace == home or view.has_namespace(namespace):
        return ()
    assumed = view.assumed_gateway(namespace, bare)
    return (assumed,) if assumed else ()


def legs_of(service: VirtualService, view: MeshView) -> Iterator[Leg | Finding]:
    """Every destination of the VirtualService's routes, those of its delegates included.

    A route is served by the gateways of the VirtualService; the gateways of its matches narrow them, and add
    none (`sourceMatchHTTP` in `pilot/pkg/networking/core/route/route.go`).
    """
    seen: set[object] = set()
    for leg in _every_leg(service, view):
        # Many routes lead to the same place: the first field that says so stands for all.
        place = (
            leg
            if isinstance(leg, Finding)
            else (replace(leg.destination, field=""), leg.written_in, leg.gateways)
        )
        if place not in seen:
            seen.add(place)
            yield leg


def _every_leg(service: VirtualService, view: MeshView) -> Iterator[Leg | Finding]:
    all_gateways = _names(service.gateways or (MESH,), service.ref.namespace)
    for route in service.routes:
        gateways = _narrowed(all_gateways, route, service.ref.namespace)
        yield from (
            Leg(destination, service.ref, gateways, service.ref) for destination in route.destinations
        )
        if route.delegate is not None:
            yield from _delegated(service, route.delegate, gateways, view)


def _delegated(
    service: VirtualService, named: tuple[str, str], gateways: frozenset[str], view: MeshView
) -> Iterator[Leg | Finding]:
    """The destinations of a delegate, which has no delegates of its own."""
    namespace, name = named[0] or service.ref.namespace, named[1]
    delegate = view.find(VirtualService, namespace, name)
    if delegate is None:
        sentence = (
            f"there is no VirtualService {namespace}/{name} to delegate to; create it, or correct the name"
        )
        yield unknown(service.ref, "spec.http.delegate", sentence)
        return
    for route in delegate.routes:
        narrowed = _narrowed(gateways, route, delegate.ref.namespace)
        yield from (
            Leg(destination, delegate.ref, narrowed, service.ref) for destination in route.destinations
        )


def _narrowed(gateways: frozenset[str], route: Route, namespace: str) -> frozenset[str]:
    return gateways & _names(route.gateways, namespace) if route.gateways else gateways


def _names(gateways: tuple[str, ...], namespace: str) -> frozenset[str]:
    return frozenset(gateway_name(each, namespace) for each in gateways)
