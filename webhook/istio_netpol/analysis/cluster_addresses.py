"""The addresses that belong to the cluster itself, which no host name may open."""

from __future__ import annotations

from istio_netpol.istio.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet, parse_address
from istio_netpol.model.flows import AddressPeer
from istio_netpol.model.mesh import NodeAddresses
from istio_netpol.model.services import Service


def cluster_addresses(view: MeshView) -> AddressSet:
    """The API server's, the nodes', the Services' and the pods' addresses, as far as the snapshot knows them.

    They may be public ones: on managed clusters the API server's usually is.
    """
    snapshot = view.snapshot
    texts: list[str] = list(view.settings.api_server.addresses)
    for node in snapshot.every(NodeAddresses):
        texts += [str(address) for address in node.addresses] + list(node.pod_cidrs)
    for service in snapshot.every(Service):
        texts += [ip for ip in service.cluster_ips if parse_address(ip)]
    texts += [str(address) for workload in snapshot.every_workload() for address in workload.addresses]
    api_server, _ = view.api_server()
    found = AddressSet.of(*texts)
    return found | api_server.addresses if isinstance(api_server, AddressPeer) else found
