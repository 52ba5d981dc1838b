"""Makes the flows from pods to what an object says that they call; those of sidecars as the routes of the
mesh lead them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.istio.destinations import DestinationQuery, answers
from istio_netpol.istio.hbone import is_waypoint_before, meant_by, reached
from istio_netpol.istio.mesh_routes import Call, MeshRoutes, mesh_routes, rerouted
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, HostPeer, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


class Declaration(Struct, frozen=True):
    """Who asks for flows: the object, the path in it, and the clause that completes "this connection is
    needed because …"."""

    ref: ObjectRef
    field: str
    reason: str


def backends_on(view: MeshView, target: Service | ServiceEntry, port: int | None) -> tuple[Backend, ...]:
    """The backends of a Service or ServiceEntry on a port (None: on all ports)."""
    if isinstance(target, Service):
        return view.backends(target, port)
    return view.entry_backends(target, port)


def dialled(view: MeshView, service: Service, port: int) -> tuple[Backend, ...]:
    """The backends that a client reaches if it looks a Service up by DNS and connects to a port.

    Behind a headless Service that is the pods themselves on just that port, whatever the Service lists:
    nothing translates it (kubernetes.io, "Headless Services"; `convertResolution` in
    `pilot/pkg/networking/core/cluster_builder.go`, Istio 1.28, keeps address and port too).
    """
    pods = view.service_pods(service) if service.is_headless else ()
    if not pods:
        return view.backends(service, port)
    listed = dict.fromkeys(declared.protocol for declared in service.ports if declared.port == port)
    return tuple(
        Backend(PodsPeer(pod), protocol, port) for pod in pods for protocol in listed or (Protocol.TCP,)
    )


def flows_to(
    view: MeshView,
    declared: Declaration,
    client: Workload,
    target: Service | ServiceEntry | None,
    backends: Iterable[Backend],
    choosers: tuple[str, ...] = (),
) -> Iterator[RequiredFlow]:
    """A client's flows to the backends of a name, as they are on the wire. `choosers` are the namespaces of
    routes that lead to the name."""
    for backend in backends:
        service = target if isinstance(target, Service) else backend.service
        homes = choosers if target is None else (*choosers, target.ref.namespace)
        if isinstance(backend.peer, HostPeer) and isinstance(target, ServiceEntry):
            # DNS decides who answers for a host that the client names itself; the author of the entry does
            # not.
            homes = choosers if backend.peer.host in target.hosts else homes
        for wire in reached(view, client, target or service, backend):
            meant, meant_port = meant_by(backend, wire)
            is_pods = isinstance(wire.peer, PodsPeer)
            admitted = is_waypoint_before(backend, wire)
            via = Via(
                service, (*homes, *backend.choosers), meant=meant, meant_port=meant_port, taken_in=admitted
            )
            yield RequiredFlow(
                kind=FlowKind.WORKLOAD_TO_WORKLOAD if is_pods else FlowKind.WORKLOAD_TO_EXTERNAL,
                object=declared.ref,
                source=PodsPeer(client),
                destination=wire.peer,
                protocol=wire.protocol,
                port=wire.port,
                reason=declared.reason,
                field=declared.field,
                via=via,
            )


def follows_routes(view: MeshView, client: Workload) -> bool:
    """Whether a workload has a sidecar, which applies the routes of the mesh."""
    return view.injection(client).injected and not view.is_gateway(client)


def routes_for(view: MeshView, client: Workload, host: str) -> MeshRoutes:
    """The routes that a workload's sidecar has for a host; none without a sidecar."""
    return mesh_routes(view, host, client.namespace) if follows_routes(view, client) else ()


def called(
    view: MeshView,
    declared: Declaration,
    call: Call,
    target: Service | ServiceEntry,
    direct: Iterable[Backend],
    routes: MeshRoutes,
) -> Iterator[RequiredFlow]:
    """A call's flows: to what answers for the target itself, unless routes send all of it elsewhere, and to
    where they send it. Routes lead to the target only if nothing else of it is called."""
    where, client = rerouted(routes, call), call.client
    if not where.is_whole:
        yield from flows_to(view, declared, client, target, direct)
    for leg in where.legs:
        asked = DestinationQuery(
            leg.destination, leg.written_in, client.namespace, frozenset({call.port}), leg.root
        )
        found, _ = answers(asked, view)
        if found is not None and (where.is_whole or found.target.ref != target.ref):
            reason = f"{declared.reason}, which {leg.written_in} sends to {found.target.ref}"
            choosers = (*leg.authors, *found.through)
            routed = replace(declared, reason=reason)
            yield from flows_to(view, routed, client, found.target, found.backends, choosers)
