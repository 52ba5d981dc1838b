"""The settings that an environment's clusters need, as a user would write them."""

from __future__ import annotations

from ipaddress import ip_network

from istio_netpol.model.settings import Translation
from istio_netpol.platforms.environments import KUBE_SYSTEM, Dial, Environment
from istio_netpol.platforms.plugins import PLUGINS_BY_ID

SettingGroups = dict[str, dict[str, object]]
API_HOST = "api.shoot.project.example.com"
"""Stands for a name that only the cluster knows."""


def example_settings(environment: Environment) -> SettingGroups:
    """The settings by group, with the environment's usual plugin; names and addresses of single clusters are
    examples."""
    plugin = PLUGINS_BY_ID[environment.plugins[0]]
    groups: SettingGroups = {
        "network": {"plugin": plugin.id},
        "apiServer": _api_server(environment, plugin.judges),
        "dns": _dns(environment),
    }
    return {name: settings for name, settings in groups.items() if settings}


def _api_server(environment: Environment, judges: Translation) -> dict[str, object]:
    facts = environment.api_server
    settings: dict[str, object] = {"port": facts.port}
    if facts.dials is Dial.NAME:
        settings["host"] = API_HOST
    if judges is Translation.BEFORE:
        settings["serviceAddress"] = _address_in(environment.services, 1)
    if facts.on_nodes:
        settings["onNodes"] = True
    return settings


def _dns(environment: Environment) -> dict[str, object]:
    facts = environment.dns
    if not facts.pods:
        return {"pods": False, "addresses": [_address_in(environment.services, 10)]}
    settings: dict[str, object] = {}
    first = facts.pods[0]
    if first.namespace != KUBE_SYSTEM:
        settings = {"namespace": first.namespace, "labels": dict(first.pod_labels)}
    if facts.port != 53:
        settings["port"] = facts.port
    return settings


def _address_in(network: str, number: int) -> str:
    return str(ip_network(network)[number])
