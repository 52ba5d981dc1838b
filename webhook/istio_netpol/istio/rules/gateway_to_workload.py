"""Gateways connect to the workloads that VirtualServices expose."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from istio_netpol.istio.destinations import DestinationQuery, answers, is_about_ports, offered
from istio_netpol.istio.hbone import meant_by, reached
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.virtual_services import MESH, RouteLeg, Server, legs_of, servers_of
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_networking import VirtualService
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


def outcomes(service: VirtualService, view: MeshView) -> Iterator[Outcome]:
    """From the pods of each of its gateways to what its routes, mirrors and delegates lead to.

    What is bound to sidecars needs nothing by itself, as it does not say who calls; where it leads nowhere,
    that is found here.
    """
    servers: list[Server] = []
    for server in servers_of(service, view):
        if isinstance(server, Finding):
            yield server
        else:
            servers.append(server)
    told: set[tuple[str, str]] = set()
    for outcome in chain(_routed(service, servers, view), _in_the_mesh(service, view)):
        if isinstance(outcome, Finding):
            # Every gateway finds the same destination missing.
            if (outcome.field, outcome.message) in told:
                continue
            told.add((outcome.field, outcome.message))
        yield outcome


def _routed(service: VirtualService, servers: list[Server], view: MeshView) -> Iterator[Outcome]:
    for leg in legs_of(service, view):
        if isinstance(leg, Finding):
            yield leg
            continue
        for server in servers:
            if server.name in leg.gateways:
                for pod in server.pods:
                    yield from _followed(service, leg, server, pod, view)


def _in_the_mesh(service: VirtualService, view: MeshView) -> Iterator[Finding]:
    """What the destinations of sidecars lack. Without a port the one counts that was called, of the hosts; a
    delegate has none, and is looked at with whoever delegates to it."""
    if not service.hosts:
        return
    home = service.ref.namespace
    hosts = (view.resolve_host(host, home) for host in service.hosts)
    called = [host for host in hosts if host is not None]
    ports = frozenset(number for host in called for number in offered(host))
    for leg in legs_of(service, view):
        if isinstance(leg, Finding):
            yield leg
        elif MESH in leg.gateways:
            asked = DestinationQuery(leg.destination, leg.written_in, home, ports, leg.root)
            _, findings = answers(asked, view)
            yield from (finding for finding in findings if called or not is_about_ports(asked, finding))


def _followed(
    service: VirtualService, leg: RouteLeg, server: Server, pod: Workload, view: MeshView
) -> Iterator[Outcome]:
    """One gateway's pods, one destination."""
    asked = DestinationQuery(leg.destination, leg.written_in, pod.namespace, server.ports, leg.root)
    found, findings = answers(asked, view)
    yield from findings
    if found is None:
        return
    own = leg.written_in == service.ref
    via = "" if own else f" through its delegate {leg.written_in}"
    for backend in found.backends:
        behind = backend.service or (found.target if isinstance(found.target, Service) else None)
        for wire in reached(view, pod, found.target, backend):
            is_pods = isinstance(wire.peer, PodsPeer)
            meant, meant_port = meant_by(backend, wire)
            yield RequiredFlow(
                kind=FlowKind.GATEWAY_TO_WORKLOAD if is_pods else FlowKind.WORKLOAD_TO_EXTERNAL,
                object=service.ref,
                source=PodsPeer(pod),
                destination=wire.peer,
                protocol=wire.protocol,
                port=wire.port,
                reason=f"{service.ref}{via} routes what Gateway {server.name} receives to {found.target.ref}",
                field=leg.destination.field if own else "",
                via=Via(
                    behind,
                    found.choosers(backend),
                    delegate="" if own else leg.written_in.namespace,
                    admitted=server.admitting == pod.namespace,
                    meant=meant,
                    meant_port=meant_port,
                ),
            )


RULE = Rule(
    name="gateway-to-workload",
    kind=FlowKind.GATEWAY_TO_WORKLOAD,
    subjects=(VirtualService,),
    sources=(
        "https://istio.io/latest/docs/reference/config/networking/virtual-service/ (Istio 1.28)",
        "https://istio.io/latest/docs/reference/config/networking/destination-rule/ (subsets)",
        "istio/istio pilot/pkg/model/push_context.go, getGatewayNames and initVirtualServices",
        "istio/istio pilot/pkg/networking/core/route/route.go, GetDestinationCluster",
    ),
    outcomes=outcomes,
)
