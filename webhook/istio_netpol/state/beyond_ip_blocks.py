"""The addresses that no ipBlock matches with a network plugin that tells nodes or pods apart.

Cilium gives every packet an identity first: that of a pod, of a node or of the API server that runs on one.
A CIDR only names what has none of these (cilium/cilium Documentation/security/policy/layer3.rst, "Selecting
nodes with CIDR / ipBlock", 1.19).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from istio_netpol.model.addresses import Address, AddressSet, parse_networks
from istio_netpol.model.references import KUBERNETES_SERVICE
from istio_netpol.model.services import EndpointSlice
from istio_netpol.model.workloads import NodeAddresses
from istio_netpol.state.network import ClusterNetwork

T = TypeVar("T")

"""The namespace and the name of the API server's Service and of the EndpointSlice that it keeps."""


class _SnapshotObjects(Protocol):
    """What is asked of a snapshot."""

    network: ClusterNetwork

    def of_type(self, type_: type[T], namespace: str) -> tuple[T, ...]: ...


def beyond_ip_blocks(snapshot: _SnapshotObjects) -> AddressSet:
    """The addresses of nodes, of an API server that is said to run on them, and of pods: of each, where
    ipBlocks don't match it. Single pods are not among them, only what the cluster's pods get theirs from.
    Asked only where ipBlocks don't match one of the two."""
    network = snapshot.network
    nodes = _nodes(snapshot)
    if network.model.ip_blocks_match_pods:
        return nodes
    cidrs = (cidr for node in snapshot.of_type(NodeAddresses, "") for cidr in node.pod_cidrs)
    pods = network.pods | parse_networks(cidrs)[0]
    return pods - nodes if network.model.ip_blocks_match_nodes else pods | nodes


def _nodes(snapshot: _SnapshotObjects) -> AddressSet:
    network = snapshot.network
    nodes = snapshot.of_type(NodeAddresses, "")
    found = network.nodes | AddressSet.of(*(address for node in nodes for address in node.addresses))
    if network.api_server_on_nodes:
        found |= AddressSet.of(*_endpoints(snapshot.of_type(EndpointSlice, KUBERNETES_SERVICE[0])))
    return found


def _endpoints(slices: Iterable[EndpointSlice]) -> Iterator[Address]:
    for endpoints in slices:
        # The one that the API server keeps for itself: others could be written by whoever writes there.
        if endpoints.service == endpoints.ref.name == KUBERNETES_SERVICE[1]:
            yield from (address for endpoint in endpoints.endpoints for address in endpoint.addresses)
