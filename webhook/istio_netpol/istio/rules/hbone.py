"""Ambient mode: probes of the kubelet reach the pods from an address of their own, and waypoints reach what
they serve.

istio-cni rewrites the source of the kubelet's probes to a link-local address, so that ztunnel lets them pass
in the clear; to a policy they no longer come from the node, whose probes are always allowed. Who connects to
a pod through its tunnel port follows from the objects that declare it: see `istio/hbone.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from istio_netpol.istio.call_flows import backends_on
from istio_netpol.istio.hbone import (
    USE_WAYPOINT,
    has_virtual_ip,
    serves_namespace,
    waypoint_of,
    wire_port,
)
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

PROBE_SOURCES = {
    4: AddressPeer(AddressSet.of("169.254.7.127/32")),
    6: AddressPeer(AddressSet.of("fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128")),
}


def outcomes(subject: Workload | KubernetesGateway, view: MeshView) -> Iterator[Outcome]:
    """Flows of the probes of an ambient workload, and of a waypoint to what it serves."""
    if isinstance(subject, Workload):
        if view.is_ambient(subject):
            yield from _probes(subject)
    elif view.is_waypoint(subject):
        yield from _from_waypoint(subject, view)


def _probes(workload: Workload) -> Iterator[RequiredFlow]:
    """The probes' sources, in both families where the pods' addresses are not known yet."""
    versions = {address.version for address in workload.addresses} or {4, 6}
    for port in workload.probe_ports:
        for version in sorted(versions):
            yield RequiredFlow(
                kind=FlowKind.HBONE,
                object=workload.ref,
                source=PROBE_SOURCES[version],
                destination=PodsPeer(workload),
                protocol=Protocol.TCP,
                port=port,
                reason="in ambient mode the kubelet's probes come from this address",
            )


def _from_waypoint(gateway: KubernetesGateway, view: MeshView) -> Iterator[RequiredFlow]:
    """Flows to every Service and ServiceEntry that chose the waypoint, by its own label or its namespace's.
    The label is the called side's consent as well."""
    for service in _served(gateway, view):
        for backend in backends_on(view, service, None):
            if backend.protocol is not Protocol.TCP:
                continue
            is_pods = isinstance(backend.peer, PodsPeer)
            for pod in view.kubernetes_gateway_workloads(gateway):
                source = PodsPeer(pod)
                yield RequiredFlow(
                    kind=FlowKind.HBONE if is_pods else FlowKind.WORKLOAD_TO_EXTERNAL,
                    object=gateway.ref,
                    source=source,
                    destination=backend.peer,
                    protocol=backend.protocol,
                    port=wire_port(view, source, backend.peer, backend.protocol, backend.port),
                    reason=f"waypoint {gateway.ref.name} passes on what is sent to {service.ref}",
                    via=_chosen(gateway, service, backend),
                )


def _chosen(gateway: KubernetesGateway, service: Service | ServiceEntry, backend: Backend) -> Via:
    """Whether the Service or ServiceEntry chose this waypoint, by its own label or its namespace's."""
    home = service.ref.namespace
    return Via(
        service if isinstance(service, Service) else None,
        (home, *backend.choosers),
        granted=True,
        admitted=isinstance(service, ServiceEntry) and home != gateway.ref.namespace,
        meant=backend.peer.workload if isinstance(backend.peer, PodsPeer) else None,
        meant_port=backend.port,
    )


def _served(gateway: KubernetesGateway, view: MeshView) -> Iterator[Service | ServiceEntry]:
    place = (gateway.ref.namespace, gateway.ref.name)
    labelled: Iterator[Service | ServiceEntry] = chain(
        view.services_labelled(USE_WAYPOINT), view.entries_labelled(USE_WAYPOINT)
    )
    for service in labelled:
        is_chosen = has_virtual_ip(service) and waypoint_of(view, service) == place
        if is_chosen and serves_namespace(gateway, service.ref.namespace, view):
            yield service


RULE = Rule(
    name="hbone",
    kind=FlowKind.HBONE,
    subjects=(Workload, KubernetesGateway),
    sources=(
        "https://istio.io/latest/docs/ambient/usage/networkpolicy/ (Istio 1.28)",
        "https://istio.io/latest/docs/ambient/usage/waypoint/ (Istio 1.28)",
        "istio/istio pilot/pkg/serviceregistry/ambient/services.go, serviceEntriesInfo (Istio 1.31)",
    ),
    outcomes=outcomes,
)
