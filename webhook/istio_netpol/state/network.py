"""How the network plugin of one cluster judges policies, and which addresses it tells apart for that."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.addresses import NO_ADDRESSES, AddressSet
from istio_netpol.model.settings import Settings, Translation
from istio_netpol.platforms.network_model import NetworkModel, network_model


class ClusterNetwork(Struct, frozen=True):
    """The model of a cluster's plugin, and what settings say of the cluster's addresses: those of nodes and
    pods, and whether the API server's are nodes'."""

    model: NetworkModel
    nodes: AddressSet = NO_ADDRESSES
    pods: AddressSet = NO_ADDRESSES
    api_server_on_nodes: bool = False

    @property
    def judges_before(self) -> bool:
        """Whether policies see the address that a client dials, before a Service is translated."""
        return self.model.judges is Translation.BEFORE

    @property
    def tells_addresses_apart(self) -> bool:
        """Whether there are addresses that no ipBlock matches."""
        return not (self.model.ip_blocks_match_nodes and self.model.ip_blocks_match_pods)

    @property
    def name(self) -> str:
        """The plugin, as sentences name it."""
        return self.model.plugin or "the network plugin"


AS_DOCUMENTED = ClusterNetwork(NetworkModel())
"""What the documentation of Kubernetes lets one expect: policies are judged after translation, and an ipBlock
matches any address."""


def cluster_network(settings: Settings) -> ClusterNetwork:
    """The network of the cluster that the settings describe."""
    model = network_model(settings)
    if model == AS_DOCUMENTED.model:
        return AS_DOCUMENTED
    server, hosts = settings.api_server, settings.hosts
    nodes = AddressSet.of(*hosts.node_cidrs, *(server.addresses if server.on_nodes else ()))
    return ClusterNetwork(model, nodes, AddressSet.of(*hosts.pod_cidrs), server.on_nodes)
