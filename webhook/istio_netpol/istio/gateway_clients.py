"""Finds who may call a gateway: its Service says whether they are on the internet, on a network, or in the
cluster.

Sources: kubernetes.io/docs/concepts/services-networking/service/ (types, internal load balancers,
loadBalancerSourceRanges; Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from istio_netpol.istio.view.backends import target_on
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

EVERYWHERE = AnyPeer("clients of the gateway")
IN_CLUSTER = AnyPeer("clients in the cluster", in_cluster=True)
PRIVATE = AddressSet.of("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
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
        return EVERYWHERE
    outside = [service for service in services if service.type in OUTSIDE_TYPES or service.external_ips]
    if not outside:
        return IN_CLUSTER
    ranges = [_range_of(service) for service in outside]
    known = [network for network in ranges if network is not None]
    if len(known) < len(ranges):
        return EVERYWHERE
    return AnyPeer("clients of the gateway's load balancer", within=AddressSet.union(known))


def _range_of(service: Service) -> AddressSet | None:
    """The addresses that packets of a Service's clients carry, as far as it limits them: with
    `externalTrafficPolicy: Cluster` that of a node stands for the client's."""
    if service.type != "LoadBalancer" or service.external_ips:
        return None
    if service.source_ranges:
        ranges = AddressSet.of(*service.source_ranges)
        return ranges if service.keeps_client_addresses else ranges | PRIVATE
    return PRIVATE if service.is_internal else None
