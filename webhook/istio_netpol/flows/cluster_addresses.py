"""The addresses that belong to the cluster itself, which no host name may open."""

from __future__ import annotations

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet, parse_address, parse_networks
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import NodeAddresses, Workload
from istio_netpol.state.namespace import NamespaceObjects
from istio_netpol.state.snapshot import Snapshot


def cluster_addresses(snapshot: Snapshot, view: MeshView) -> AddressSet:
    """The API server's, the nodes', the Services' and the pods' addresses, as far as the snapshot knows them.

    They may be public ones: on managed clusters the API server's usually is.
    """
    types = (NodeAddresses, Service, Workload)
    parts = snapshot.by_namespace("cluster-addresses", types, _addresses_in)
    return AddressSet.union([view.api_server_endpoints(), *(part for (part,) in parts.values())])


def node_addresses(snapshot: Snapshot) -> AddressSet:
    """The addresses of the cluster's Nodes."""
    return AddressSet.of(*(address for node in snapshot.every(NodeAddresses) for address in node.addresses))


def _addresses_in(place: NamespaceObjects) -> tuple[AddressSet, ...]:
    texts: list[str] = []
    for node in place.of_type(NodeAddresses):
        texts += [str(address) for address in node.addresses] + list(node.pod_cidrs)
    for service in place.of_type(Service):
        texts += [ip for ip in service.cluster_ips if parse_address(ip)]
    texts += [str(address) for workload in place.of_type(Workload) for address in workload.addresses]
    addresses, _ = parse_networks(texts)
    return (addresses,) if addresses else ()
