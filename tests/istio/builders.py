"""Mesh objects in few words, and what rules say of them in plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from tests.values import address, deployment

from istio_netpol.istio.rule import Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.witness import agreed
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.istio_networking import (
    Destination,
    DestinationRule,
    Gateway,
    GatewayServer,
    Route,
    ServiceEntry,
    ServiceEntryPort,
    VirtualService,
    WorkloadEndpoint,
)
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import EndpointAddress, EndpointPort, EndpointSlice, Service, ServicePort
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.state.snapshot import Snapshot

NETWORKING = "networking.istio.io/v1"
INGRESS_LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway"}


def ref(api_version: str, kind: str, key: str) -> ObjectRef:
    where, _, name = key.partition("/")
    return ObjectRef(api_version, kind, where, name)


def labelled(key: str, labels: Mapping[str, str], *ports: ContainerPort) -> Workload:
    """The Deployment `namespace/name` with labels that are no Python names."""
    return replace(deployment(key, *ports), labels=dict(labels))


def istiod(key: str = "istio-system/istiod", revision: str = "default") -> Workload:
    """istiod of a revision, as its chart labels it."""
    return labelled(key, {"app": "istiod", "istio": "pilot", "istio.io/rev": revision})


def istiod_service(key: str = "istio-system/istiod", discovery: int = 15012, webhook: int = 15017) -> Service:
    ports = (ServicePort(15012, discovery), ServicePort(443, webhook))
    return Service(ref("v1", "Service", key), ports, {"app": "istiod", "istio": "pilot"})


def ingress_gateway(key: str = "istio-system/istio-ingressgateway") -> Workload:
    """The ingress gateway of the classic chart: its istio-proxy container is its own, not an injected one."""
    ports = (ContainerPort(15021), ContainerPort(8080), ContainerPort(8443))
    return replace(labelled(key, INGRESS_LABELS, *ports), has_proxy=True)


def coredns(port: int = 53) -> tuple[Workload, Service]:
    """CoreDNS, whose pods listen on `port`, and the Service kube-dns in front of it."""
    labels = {"k8s-app": "kube-dns"}
    ports = (ServicePort(53, port, "dns", Protocol.UDP), ServicePort(53, port, "dns-tcp", Protocol.TCP))
    return (
        labelled("kube-system/coredns", labels),
        Service(ref("v1", "Service", "kube-system/kube-dns"), ports, labels),
    )


def service(key: str, *ports: ServicePort | int, **selector: str) -> Service:
    """The Service `namespace/name`; a number is a port whose target is the same."""
    wanted = tuple(port if isinstance(port, ServicePort) else ServicePort(port, port) for port in ports)
    name = key.rpartition("/")[2]
    return Service(ref("v1", "Service", key), wanted, selector or {"app": name})


def endpoints(key: str, *addresses: str, port: int, name: str = "", pod: str = "") -> EndpointSlice:
    """The EndpointSlice of the Service `namespace/name`."""
    found = tuple(EndpointAddress((address(text),), pod) for text in addresses)
    service_name = key.rpartition("/")[2]
    slice_ref = ref("discovery.k8s.io/v1", "EndpointSlice", f"{key}-1")
    return EndpointSlice(slice_ref, service_name, found, (EndpointPort(port, name),))


def gateway(key: str, *ports: int, **selector: str) -> Gateway:
    """The Istio Gateway `namespace/name`, which selects the ingress gateway unless labels are given."""
    servers = tuple(GatewayServer(port, "HTTP") for port in ports or (80,))
    return Gateway(ref(NETWORKING, "Gateway", key), selector or INGRESS_LABELS, servers)


def to(host: str, port: int | None = None, subset: str = "", at: int = 0) -> Destination:
    """A destination of the route at index `at`."""
    return Destination(host, port, subset, f"spec.http[{at}].route[0].destination")


def route(*destinations: Destination, gateways: tuple[str, ...] = (), delegate: Any = None) -> Route:
    return Route("http", destinations, gateways, delegate)


def virtual_service(
    key: str,
    *routes: Route | Destination,
    gateways: tuple[str, ...] = ("istio-system/public",),
    export_to: tuple[str, ...] = (),
) -> VirtualService:
    """The VirtualService `namespace/name`; a bare destination is a route of its own."""
    made = tuple(
        wanted_route if isinstance(wanted_route, Route) else route(wanted_route) for wanted_route in routes
    )
    hosts = ("www.example.com",)
    return VirtualService(ref(NETWORKING, "VirtualService", key), hosts, gateways, made, export_to)


def destination_rule(key: str, host: str, **subsets: Mapping[str, str]) -> DestinationRule:
    return DestinationRule(ref(NETWORKING, "DestinationRule", key), host, subsets)


def service_entry(key: str, *hosts: str, ports: tuple[int, ...] = (443,), **more: Any) -> ServiceEntry:
    """The ServiceEntry `namespace/name` for hosts that are looked up by DNS unless `resolution` is given."""
    numbered = more.pop("numbered", tuple(ServiceEntryPort(port) for port in ports))
    resolution = more.pop("resolution", "DNS")
    return ServiceEntry(
        ref(NETWORKING, "ServiceEntry", key), hosts, ports=numbered, resolution=resolution, **more
    )


def endpoint(where: str, **ports: int) -> WorkloadEndpoint:
    return WorkloadEndpoint(where, ports)


def view(*objects: Any, settings: Settings | None = None) -> MeshView:
    """The view of a snapshot of these objects; tuples of objects count as their members."""
    flat = [part for given in objects for part in (given if isinstance(given, tuple) else (given,))]
    return MeshView(Snapshot.of(flat), settings or Settings())


def flows(rule: Rule, subject: Any, mesh: MeshView) -> list[RequiredFlow]:
    found = (agreed(outcome, mesh) for outcome in rule.outcomes(subject, mesh))
    return [outcome for outcome in found if isinstance(outcome, RequiredFlow)]


def findings(rule: Rule, subject: Any, mesh: MeshView) -> list[Finding]:
    return [outcome for outcome in rule.outcomes(subject, mesh) if isinstance(outcome, Finding)]


def told(rule: Rule, subject: Any, mesh: MeshView) -> list[str]:
    """The flows that a rule asks for, as `kind: source -> destination PROTOCOL port`, sorted."""
    return sorted(
        f"{flow.kind}: {flow.source} -> {flow.destination} {flow.protocol} {flow.port}"
        for flow in flows(rule, subject, mesh)
    )


def complaints(rule: Rule, subject: Any, mesh: MeshView) -> list[str]:
    """The messages of the findings of a rule, in order."""
    return [finding.message for finding in findings(rule, subject, mesh)]
