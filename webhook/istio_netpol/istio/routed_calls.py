"""Makes the flows of sidecars to a name, as routes of the mesh lead them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from istio_netpol.istio.declared import Declaration, flows_to
from istio_netpol.istio.destinations import DestinationQuery, answers
from istio_netpol.istio.mesh_routes import Call, MeshRoutes, mesh_routes, rerouted
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


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
