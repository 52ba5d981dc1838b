"""Addresses that are the cluster's own: what is behind a ClusterIP, an external or a load balancer's address
of a Service, a node port or a pod.

The client's node translates a Service's addresses before a policy sees the packet (kube-proxy; for a load
balancer unless its `ipMode` is Proxy, KEP-1860). So policies see the pods behind, on their own ports, and an
ipBlock of the address itself never matches. A node port counts as translated there, too: plugins that
translate at the socket do so for every node, kube-proxy for the client's own.

ClusterIPs are the API server's to give, and a load balancer's address is its controller's. Anybody may claim
`externalIPs`, so they are heeded where administrators write, and for whoever wrote them; so is the status of
a pod that says it is at a public address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from istio_netpol.model.addresses import Address, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import NodeAddresses, Workload
from istio_netpol.state.indexes import Index
from istio_netpol.state.reader import Reader
from istio_netpol.trust.special_addresses import SPECIAL


class ServiceAt(NamedTuple):
    """A Service that answers at an address, and the port of it that is meant; None where it lacks that
    port."""

    service: Service
    port: int | None


class OwnAddresses:
    """Finds what is at an address, by one reader."""

    def __init__(self, reader: Reader, trusted: Callable[[], frozenset[str]]) -> None:
        self._reader = reader
        self._trusted = trusted

    def service_at(self, address: Address, port: int, protocol: Protocol, asker: str) -> ServiceAt | None:
        """The Service that answers a namespace's packets to an address; one that has the port goes first."""
        found = list(self._services_at(address, port, protocol, asker))
        return next((place for place in found if place.port is not None), found[0] if found else None)

    def pods_at(self, address: Address, asker: str) -> tuple[Workload, ...]:
        """The classes of pods of which one is at an address, as far as a namespace may believe it."""
        found = self._reader.pods_at(address)
        if SPECIAL.contains(address):
            return found
        return tuple(pods for pods in found if self._is_heeded(pods.namespace, asker))

    def _services_at(
        self, address: Address, port: int, protocol: Protocol, asker: str
    ) -> Iterator[ServiceAt]:
        for service in self._reader.by_key(SERVICE_ADDRESSES, address):
            if address not in service.external_ips or self._is_heeded(service.namespace, asker):
                offered = any(
                    declared.port == port and declared.protocol is protocol for declared in service.ports
                )
                yield ServiceAt(service, port if offered else None)
        if next(self._reader.by_key(NODES, address), None) is not None:
            for service in self._reader.by_key(NODE_PORTS, (protocol, port)):
                for declared in service.ports:
                    if (declared.protocol, declared.node_port) == (protocol, port):
                        yield ServiceAt(service, declared.port)

    def _is_heeded(self, namespace: str, asker: str) -> bool:
        return namespace == asker or namespace in self._trusted()


def _addresses_of(service: Service) -> Iterator[Address]:
    for text in service.cluster_ips:
        if (address := parse_address(text)) is not None:
            yield address
    yield from service.external_ips
    yield from service.balancer_ips


def _node_ports_of(service: Service) -> Iterator[tuple[Protocol, int]]:
    return ((port.protocol, port.node_port) for port in service.ports if port.node_port)


SERVICE_ADDRESSES = Index("service-addresses", Service, lambda service: dict.fromkeys(_addresses_of(service)))
NODE_PORTS = Index("node-ports", Service, lambda service: dict.fromkeys(_node_ports_of(service)))
NODES = Index("nodes", NodeAddresses, lambda node: dict.fromkeys(node.addresses))
