"""ServiceEntry: the workloads of its own namespace connect to the endpoints that it adds to the mesh.

A ServiceEntry does not say who its clients are. Taken at its word (exported to every namespace) it would open
every namespace of the mesh, so its clients are the sidecars and ambient pods of its own namespace: whoever
wants the host adds it there. A Sidecar whose `egress` leaves the host out takes its workloads away; workloads
of other namespaces name the host in a Sidecar or in `istio-netpol.io/calls`. A namespace to which the
ServiceEntry is not exported, its own included, has no clients.

Where a VirtualService sends sidecars elsewhere for the host, to an egress gateway say, they connect there
instead, and the way on from that gateway is the VirtualService's need. Resolution NONE sends packets to the
address that the client looked up: without `addresses` that is what DNS says of the host, and a wildcard host
stands for nothing that a policy could name.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.call_flows import Declaration, backends_on, flows_to
from istio_netpol.istio.mesh_routes import (
    Call,
    Rerouted,
    mesh_routes,
    rerouted,
    routes_of_port,
    unheeded_routes,
)
from istio_netpol.istio.rule import Outcome, Rule, Unjudged, foreign_routing, unknown
from istio_netpol.istio.sidecar_scope import knows
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import is_exported
from istio_netpol.istio.virtual_services import RouteLeg
from istio_netpol.model.addresses import is_network
from istio_netpol.model.findings import Severity
from istio_netpol.model.flows import FlowKind, PodsPeer
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.workloads import Workload


def outcomes(entry: ServiceEntry, view: MeshView) -> Iterator[Outcome]:
    """Flows from the workloads of its namespace to what the entry adds; an INFO finding where that can't be
    named."""
    yield from _unreadable(entry)
    yield from _unnamed(entry, view)
    clients = _clients(entry, view)
    for host in entry.hosts:
        for foreign in unheeded_routes(view, host, entry.ref.namespace) if clients else ():
            yield foreign_routing(entry.ref, "spec.hosts", host, foreign.ref)
        knowing = [client for client in clients if knows(view, client, entry.ref.namespace, host)]
        routes = mesh_routes(view, host, entry.ref.namespace)
        for client in knowing:
            own = routes if view.injection(client).injected else ()
            for port in entry.ports:
                call = Call(
                    client, view.full_name(host, entry.ref.namespace), port.number, routes_of_port(port)
                )
                yield from _called(entry, call, rerouted(own, call), view)


def _keeps_addresses(entry: ServiceEntry) -> bool:
    """Whether its addresses stand for all of its hosts."""
    return entry.resolution == "NONE" and bool(entry.addresses)


def _clients(entry: ServiceEntry, view: MeshView) -> tuple[Workload, ...]:
    own = entry.ref.namespace
    if not is_exported(entry.export_to, own, own):
        return ()
    return tuple(pod for pod in view.workloads(own) if view.in_mesh(pod) and not view.is_gateway(pod))


def _called(entry: ServiceEntry, call: Call, where: Rerouted, view: MeshView) -> Iterator[Outcome]:
    """Where a client connects for a host and a port: to the host itself, unless VirtualServices send all of
    it elsewhere."""
    is_own = [_full_host(leg, view) == call.host for leg in where.legs]
    if any(is_own) or not where.is_whole:
        yield from _direct(entry, call, view)
    for leg, leads_back in zip(where.legs, is_own, strict=True):
        if not leads_back:
            yield from _routed(entry, call, leg, view)


def _full_host(leg: RouteLeg, view: MeshView) -> str:
    return view.full_name(leg.destination.host, leg.written_in.namespace)


def _direct(entry: ServiceEntry, call: Call, view: MeshView) -> Iterator[Outcome]:
    declared = Declaration(
        entry.ref, "spec.hosts", f"{entry.ref} adds {call.host} to what the workloads of its namespace call"
    )
    backends = (
        backend
        for backend in backends_on(view, entry, call.port)
        if not (isinstance(backend.peer, PodsPeer) and backend.peer.workload is call.client)
    )
    yield from flows_to(view, declared, call.client, entry, backends)


def _routed(entry: ServiceEntry, call: Call, leg: RouteLeg, view: MeshView) -> Iterator[Outcome]:
    target = view.resolve_host(_full_host(leg, view), entry.ref.namespace, leg.authors)
    if target is None:
        return
    declared = Declaration(
        entry.ref,
        "spec.hosts",
        f"{entry.ref} adds {call.host}, which a VirtualService sends through {target.ref}",
    )
    backends = backends_on(view, target, leg.destination.port)
    yield from flows_to(view, declared, call.client, target, backends, leg.authors)


def _unreadable(entry: ServiceEntry) -> Iterator[Outcome]:
    for position, text in enumerate(entry.addresses):
        if not is_network(text):
            sentence = f"{text} is not an IP address or CIDR, so nothing is opened for it; correct it"
            yield unknown(entry.ref, f"spec.addresses[{position}]", sentence)


def _unnamed(entry: ServiceEntry, view: MeshView) -> Iterator[Outcome]:
    """A finding for the part of an entry that stands for nobody: all of it, or the wildcards among hosts that
    are looked up."""
    found = backends_on(view, entry, None)
    unnamed = entry.hosts
    if found:
        by_host = entry.workload_selector is None and not entry.endpoints and not _keeps_addresses(entry)
        unnamed = tuple(host for host in entry.hosts if "*" in host) if by_host else ()
    if not entry.ports or not unnamed:
        return
    if entry.workload_selector is not None:
        sentence = (
            "it selects neither pods nor WorkloadEntries of the input; correct the labels, or add the "
            "workload"
        )
        yield unknown(entry.ref, "spec.workloadSelector", sentence)
    else:
        sentence = (
            f"{', '.join(unnamed)} with resolution {entry.resolution} does not stand for an address "
            "that a policy could name; name hosts without wildcards, or addresses"
        )
        yield unknown(entry.ref, "spec.hosts", sentence, Severity.INFO)


RULE = Rule(
    name="service-entry",
    kind=FlowKind.WORKLOAD_TO_EXTERNAL,
    subjects=(ServiceEntry,),
    sources=(
        "https://istio.io/latest/docs/reference/config/networking/service-entry/ (Istio 1.28)",
        "https://istio.io/latest/docs/tasks/traffic-management/egress/egress-gateway/ (Istio 1.28)",
        "https://istio.io/latest/docs/reference/config/networking/sidecar/ (Istio 1.28)",
    ),
    outcomes=outcomes,
    unjudged=(
        Unjudged(
            "hosts with a wildcard",
            "they stand for addresses that nobody can list",
            "warning `unknown-destination`",
        ),
    ),
)
