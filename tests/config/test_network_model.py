"""How policies are judged, by the plugin that the settings name and what they override of it."""

from __future__ import annotations

import pytest

from istio_netpol.config.settings_file import load_settings
from istio_netpol.platforms.network_model import NetworkModel, network_model

HEADER = "apiVersion: istio-netpol.io/v1\nkind: Settings\n"


def model(network: str) -> NetworkModel:
    return network_model(load_settings(f"{HEADER}network: {{{network}}}\n", "settings.yaml"))


def test_without_a_plugin_the_documentation_holds() -> None:
    """After translation, and an ipBlock matches any address."""
    assert model("") == NetworkModel()


@pytest.mark.parametrize(
    ("plugin", "judges", "nodes", "pods"),
    [
        ("calico", "after", True, True),
        ("cilium", "after", False, False),
        ("cilium-nodes", "after", True, False),
        ("azure-cilium", "after", False, False),
        ("gke-dataplane-v2", "after", False, False),
        ("aws-vpc-cni", "before", True, True),
        ("kindnet", "after", True, True),
    ],
)
def test_a_plugin_brings_its_model(plugin: str, judges: str, nodes: bool, pods: bool) -> None:
    """One id says it all."""
    found = model(f"plugin: {plugin}")
    assert (found.judges, found.ip_blocks_match_nodes, found.ip_blocks_match_pods) == (judges, nodes, pods)


def test_settings_override_the_plugin() -> None:
    """Each of its answers by itself, to either side; the others stay."""
    found = model("plugin: cilium, ipBlocksMatchNodes: true")
    assert (found.ip_blocks_match_nodes, found.ip_blocks_match_pods) == (True, False)
    found = model("plugin: aws-vpc-cni, judges: after, ipBlocksMatchPods: false")
    assert (found.judges, found.ip_blocks_match_nodes, found.ip_blocks_match_pods) == ("after", True, False)


def test_settings_say_it_of_a_plugin_that_is_not_in_the_table() -> None:
    """A plugin of one's own has no id."""
    found = model("judges: before, ipBlocksMatchNodes: false")
    assert (found.judges, found.ip_blocks_match_nodes, found.plugin) == ("before", False, "")
