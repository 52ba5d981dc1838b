"""Whether the objects of a cluster are fit for a proof: kinds that they lack, and the plugin that runs."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.api_calls import ApiExtension
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.network_model import network_model
from istio_netpol.platforms.plugins import PLUGINS, NetworkPlugin
from istio_netpol.state.snapshot import Snapshot


class OtherPlugin(Struct, frozen=True):
    """A plugin that runs, by its DaemonSet, and what it may be, where the settings name another one."""

    daemon_set: str
    possible: tuple[NetworkPlugin, ...]
    named: str

    @property
    def cause(self) -> str:
        return (
            f"runs {self.daemon_set}, and the setting network.plugin says {self.named}, which judges "
            "policies in another way: nothing is proved"
        )

    @property
    def remedy(self) -> str:
        ids = " or ".join(f"{plugin.id} ({plugin.name})" for plugin in self.possible)
        return f"set network.plugin in environment.yaml to {ids}"


def other_plugin(cluster: Snapshot, settings: Settings) -> OtherPlugin | None:
    """The plugin that runs, if it judges policies in another way than the one that the settings name. Where
    both run, the settings decide: one of them may leave policies to the other."""
    named = settings.network.plugin
    agents = _agents(cluster)
    possible = tuple(plugin for plugin in PLUGINS if plugin.enforces and _daemon_sets(plugin) & agents.keys())
    if not named or not possible or any(plugin.id == named for plugin in possible):
        return None
    if any(_judges(settings, plugin.id) == _judges(settings, named) for plugin in possible):
        return None
    found = min(agents[name] for plugin in possible for name in _daemon_sets(plugin) & agents.keys())
    return OtherPlugin(found, possible, named)


def _judges(settings: Settings, plugin: str) -> tuple[object, ...]:
    """How the plugin decides on a connection, with what the settings override of it."""
    model = network_model(replace(settings, network=replace(settings.network, plugin=plugin)))
    return (
        model.judges,
        model.ip_blocks_match_nodes,
        model.ip_blocks_match_pods,
        model.host_network_peers,
    )


def _agents(cluster: Snapshot) -> dict[str, str]:
    """DaemonSets in the host's network, as agents of plugins are and what tenants deploy rarely may be."""
    return {
        workload.ref.name: str(workload.ref)
        for workload in cluster.every(Workload)
        if workload.ref.kind == "DaemonSet" and workload.host_network
    }


def _daemon_sets(plugin: NetworkPlugin) -> set[str]:
    """The names of its DaemonSet, also of a plugin that is another one with other settings."""
    return {
        name for other in PLUGINS if other.id in (plugin.id, plugin.variant_of) for name in other.daemon_sets
    }


_MISSED = (
    (
        ApiExtension,
        "webhook configurations, APIServices and conversions",
        "that the API server calls no pods",
    ),
    (NetworkPolicy, "NetworkPolicies", "that there are none besides the overlay's"),
    (Service, "Services", "that nothing is called through one"),
)


def gaps_in(cluster: Snapshot) -> Iterator[Assumption]:
    """One assumption for each kind without which a workload may look covered, or cut, and is not."""
    for type_, names, assumed in _MISSED:
        if next(cluster.every(type_), None) is None:
            yield Assumption(f"the input holds no {names}", assumed)
