"""Compares how the settings judge policies with the network plugin that is there."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.doctor.dialled import node_addresses
from istio_netpol.doctor.network_plugin import TOPIC, cilium_as_set_up, found_plugins
from istio_netpol.doctor.survey import ENDPOINT_SLICES, Survey, dig, listed
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings, Translation
from istio_netpol.platforms.plugins import CILIUM, NetworkPlugin


def plugin_settings(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Whether `network.plugin` names the plugin that enforces, and what follows for the API server."""
    plugin = next((candidate for candidate, _ in found_plugins(survey) if candidate.enforces), None)
    if plugin is None:
        return
    if plugin.id == CILIUM:
        plugin = cilium_as_set_up(survey)
    yield _named(plugin, settings)
    yield from _on_nodes(survey, plugin, settings)


def _named(plugin: NetworkPlugin, settings: Settings) -> Diagnosis:
    configured, looked_at = settings.network.plugin, "setting network.plugin"
    if configured == plugin.id:
        return Diagnosis(TOPIC, looked_at, configured)
    if configured:
        return Diagnosis(
            TOPIC,
            looked_at,
            f"{configured}, and {plugin.name} is there",
            Health.WRONG,
            f"set network.plugin to {plugin.id}: policies are judged as that plugin does",
        )
    is_usual = (
        plugin.judges is Translation.AFTER and plugin.ip_blocks_match_nodes and plugin.ip_blocks_match_pods
    )
    return Diagnosis(
        TOPIC,
        looked_at,
        "empty: policies are judged after address translation, and an ipBlock matches any address",
        Health.OK if is_usual else Health.NOTE,
        "" if is_usual else f"set network.plugin to {plugin.id}, which judges otherwise",
    )


def _on_nodes(survey: Survey, plugin: NetworkPlugin, settings: Settings) -> Iterator[Diagnosis]:
    """Whether the API server runs on nodes, which ipBlocks do not match with every plugin."""
    slices = survey.all(ENDPOINT_SLICES, "default", "kubernetes.io/service-name=kubernetes")
    addresses = {
        str(address)
        for endpoint_slice in slices
        for endpoint in listed(endpoint_slice.get("endpoints"))
        for address in listed(dig(endpoint, "addresses"))
    }
    on_nodes = sorted(addresses & node_addresses(survey))
    if not on_nodes:
        return
    looked_at, found = "API server", f"runs on nodes of the cluster ({', '.join(on_nodes)})"
    if not plugin.ip_blocks_match_nodes:
        yield Diagnosis(
            TOPIC,
            looked_at,
            f"{found}, which no ipBlock matches with {plugin.name}",
            Health.WRONG,
            "set policy-cidr-match-mode: nodes in cilium-config, or take the component "
            "cilium-api-server into the overlay, which has a CiliumNetworkPolicy for the entity",
        )
    elif not settings.api_server.on_nodes:
        yield Diagnosis(TOPIC, looked_at, found, Health.NOTE, "set apiServer.onNodes to true")
