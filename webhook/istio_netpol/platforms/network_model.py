"""How policies are judged in the cluster that the settings describe."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.settings import Settings, Translation
from istio_netpol.platforms.plugins import PLUGINS_BY_ID, HostNetworkPeers


class NetworkModel(Struct, frozen=True):
    """What a policy is judged against. The defaults are what the Kubernetes documentation lets one expect."""

    judges: Translation = Translation.AFTER
    ip_blocks_match_nodes: bool = True
    ip_blocks_match_pods: bool = True
    host_network_peers: HostNetworkPeers = HostNetworkPeers.NONE
    keeps_connections: bool = True
    plugin: str = ""
    """What the plugin is called; empty where the settings name none."""


def network_model(settings: Settings) -> NetworkModel:
    """That of the plugin that the settings name, with what they override of it."""
    network = settings.network
    plugin = PLUGINS_BY_ID.get(network.plugin)
    model = NetworkModel()
    if plugin is not None:
        model = NetworkModel(
            plugin.judges,
            plugin.ip_blocks_match_nodes,
            plugin.ip_blocks_match_pods,
            plugin.host_network_peers,
            plugin.keeps_connections,
            plugin.name,
        )
    return replace(
        model,
        judges=model.judges if network.judges is None else network.judges,
        ip_blocks_match_nodes=_first(network.ip_blocks_match_nodes, model.ip_blocks_match_nodes),
        ip_blocks_match_pods=_first(network.ip_blocks_match_pods, model.ip_blocks_match_pods),
    )


def _first(override: bool | None, of_the_plugin: bool) -> bool:
    return of_the_plugin if override is None else override
