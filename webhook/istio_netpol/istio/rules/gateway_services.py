"""What the Service of a gateway declares by itself: health checks, and the clients of a release without a
Gateway."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.offered_ports import OUTSIDE_TYPES, PROXY_PORTS, GatewayClients
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.backends import target_on
from istio_netpol.istio.view.gateways import is_egress_gateway, is_injected_gateway
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import ALL_IPV4, ALL_IPV6, AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

HEALTH_CHECKS = AnyPeer("health checks of the load balancer")
STATUS_PORT = 15021
WHOLE_FAMILIES = (ALL_IPV4, ALL_IPV6)
ISTIOD_PORTS = frozenset({15012, 15017})
"""What an east-west gateway's Service lists for istiod, which a Gateway of its own has to expose."""


def outcomes(service: Service, view: MeshView) -> Iterator[Outcome]:
    """Health checks where a load balancer lists the status port; and the clients of a gateway on which no
    Gateway of the input opens a port, such as a release of the `gateway` chart before the teams' routes."""
    if service.type not in OUTSIDE_TYPES:
        return
    for pod in view.service_pods(service):
        if not view.is_gateway(pod):
            continue
        clients = GatewayClients(view.services_of(pod), pod)
        is_awaited = is_injected_gateway(pod) and not is_egress_gateway(pod) and not view.is_served(pod)
        for index, port in enumerate(service.ports):
            number = target_on(pod, port) if port.protocol is Protocol.TCP else None
            field = f"spec.ports[{index}]"
            if number == STATUS_PORT and service.type == "LoadBalancer":
                yield from _health_checks(service, pod, field, view)
            elif number and is_awaited and number not in PROXY_PORTS | ISTIOD_PORTS:
                yield _client(service, pod, number, field, clients)


def _health_checks(service: Service, pod: Workload, field: str, view: MeshView) -> Iterator[RequiredFlow]:
    """A load balancer that finds no healthy target sends nobody. The cloud decides whether it asks this port
    or the node's, unless settings say from where it asks."""
    ranges = [AddressSet.of(network) for network in view.settings.mesh.health_check_sources]
    known = [AddressPeer(addresses, HEALTH_CHECKS.description) for addresses in ranges]
    sources = [HEALTH_CHECKS if peer.addresses in WHOLE_FAMILIES else peer for peer in known]
    for source in dict.fromkeys(sources or [HEALTH_CHECKS]):
        yield RequiredFlow(
            kind=FlowKind.CLIENT_TO_GATEWAY,
            object=service.ref,
            source=source,
            destination=PodsPeer(pod),
            protocol=Protocol.TCP,
            port=STATUS_PORT,
            reason=f"{service.ref} lists the status port, where load balancers ask whether it is healthy",
            field=field,
            dispensable=not sources,
        )


def _client(service: Service, pod: Workload, port: int, field: str, clients: GatewayClients) -> RequiredFlow:
    return RequiredFlow(
        kind=FlowKind.CLIENT_TO_GATEWAY,
        object=service.ref,
        source=clients.of(port),
        destination=PodsPeer(pod),
        protocol=Protocol.TCP,
        port=port,
        reason=f"{service.ref} offers the gateway's port to clients outside the cluster",
        field=field,
    )


RULE = Rule(
    name="gateway-services",
    kind=FlowKind.CLIENT_TO_GATEWAY,
    subjects=(Service,),
    sources=(
        "istio/istio manifests/charts/gateway/values.yaml and templates/service.yaml (1.32)",
        "https://istio.io/latest/docs/ops/deployment/application-requirements/ (15021; Istio 1.32)",
        "https://istio.io/latest/docs/setup/additional-setup/gateway/ (Istio 1.32)",
    ),
    outcomes=outcomes,
)
