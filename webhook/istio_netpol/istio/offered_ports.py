"""The TCP ports that pods offer: those that anything declares, and of gateways those for what a Gateway
opens, and to which clients.

Sources of who may call a gateway: kubernetes.io/docs/concepts/services-networking/service/ (types, internal
load balancers, loadBalancerSourceRanges; Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from istio_netpol.istio.view.backends import target_on
from istio_netpol.istio.view.gateways import is_injected_gateway
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

PROXY_PORTS = frozenset({15000, 15001, 15002, 15004, 15006, 15008, 15009, 15020, 15021, 15053, 15090})
"""Ports of the proxy itself
(istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio): no application listens
there."""


def served_ports(view: MeshView, pod: Workload) -> tuple[int, ...]:
    """The container ports and the target ports of Services, ascending, without the proxy's own."""
    declared = {port.number for port in pod.ports if port.protocol is Protocol.TCP}
    for service in view.services_of(pod):
        for port in service.ports:
            if port.protocol is Protocol.TCP and (number := target_on(pod, port)):
                declared.add(number)
    return tuple(sorted(declared - PROXY_PORTS))


CLASSIC_TARGETS = {80: 8080, 443: 8443}
"""What the `istio-ingress` chart, istioctl and Kyma put behind the gateway Service's ports."""


class GatewayListeners:
    """The ports of gateway pods for the ports that a Gateway's servers open.

    istiod takes the number for a port of the gateway's Service and listens on its target (`mergeGateways`); a
    number that no Service port has is used as it is. Where the input holds no Service for the pods, the ports
    that they declare decide, then the chart: that of gateways by injection translates nothing. The ports of
    the Services are gone through once, however many a Gateway opens.
    """

    def __init__(self, pods: Workload, view: MeshView) -> None:
        services = view.services_of(pods)
        self._has_services = bool(services)
        self._is_injected = is_injected_gateway(pods)
        self._declared = frozenset(port.number for port in pods.ports)
        self._targets: dict[int, int] = {}
        for service in services:
            for port in service.ports:
                if port.port not in self._targets and (target := target_on(pods, port)):
                    self._targets[port.port] = target

    def port_for(self, opened: int) -> int:
        """The port on which the pods listen for a port that is opened."""
        if opened in self._targets:
            return self._targets[opened]
        classic = CLASSIC_TARGETS.get(opened, opened)
        is_kept = opened in self._declared or (self._is_injected and classic not in self._declared)
        return opened if self._has_services or is_kept else classic


GATEWAY_CALLERS = AnyPeer("clients of the gateway")
IN_CLUSTER = AnyPeer("clients in the cluster", in_cluster=True)
LOAD_BALANCER_RANGES = AddressSet.of(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"
)
"""Where the clients of an internal load balancer, the balancer and the nodes are."""

OUTSIDE_TYPES = frozenset({"LoadBalancer", "NodePort"})


class GatewayClients:
    """Who may call the ports of gateway pods, by the Services in front of them. Without a Service, nothing
    limits who calls.

    A Gateway may open thousands of ports, and a Service list as many: the ports are gone through once."""

    def __init__(self, services: Sequence[Service], pods: Workload) -> None:
        self._services = services
        self._offering: dict[int, dict[str, Service]] = {}
        for service in services:
            for port in service.ports:
                if port.protocol is Protocol.TCP and (number := target_on(pods, port)):
                    self._offering.setdefault(number, {})[service.name] = service

    def of(self, port: int) -> AnyPeer:
        """The clients of a port of the pods."""
        offering = self._offering.get(port)
        return _clients_of(offering.values() if offering else self._services)


def _clients_of(services: Collection[Service]) -> AnyPeer:
    """The clients that some Services let in together."""
    if not services:
        return GATEWAY_CALLERS
    outside = [service for service in services if service.type in OUTSIDE_TYPES or service.external_ips]
    if not outside:
        return IN_CLUSTER
    ranges = [_range_of(service) for service in outside]
    known = [network for network in ranges if network is not None]
    if len(known) < len(ranges):
        return GATEWAY_CALLERS
    return AnyPeer("clients of the gateway's load balancer", within=AddressSet.union(known))


def _range_of(service: Service) -> AddressSet | None:
    """The addresses that packets of a Service's clients carry, as far as it limits them: with
    `externalTrafficPolicy: Cluster` that of a node stands for the client's."""
    if service.type != "LoadBalancer" or service.external_ips:
        return None
    if service.source_ranges:
        ranges = AddressSet.of(*service.source_ranges)
        return ranges if service.keeps_client_addresses else ranges | LOAD_BALANCER_RANGES
    return LOAD_BALANCER_RANGES if service.is_internal else None
