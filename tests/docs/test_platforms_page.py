"""`docs/platforms.md` says what the tables of plugins and environments say."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest
from tests.conftest import Golden
from tests.docs.transcripts import ROOT

from istio_netpol.config.settings_file import load_settings
from istio_netpol.platforms.environments import ENVIRONMENTS, Environment
from istio_netpol.platforms.plugins import PLUGINS, PLUGINS_BY_ID, NetworkPlugin
from istio_netpol.platforms.reference import platforms_page

SNIPPET = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
EVERY_PLUGIN = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.id)
EVERY_ENVIRONMENT = pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda place: place.id)


def test_the_page_is_up_to_date(golden: Golden) -> None:
    """The page in the repository is what the tables say."""
    golden(ROOT / "docs" / "platforms.md", platforms_page())


def test_the_settings_of_the_page_are_valid() -> None:
    """Whoever copies the settings of an environment gets no error, and the plugin of that environment."""
    snippets = SNIPPET.findall(platforms_page())
    assert len(snippets) == len(ENVIRONMENTS)
    for snippet, environment in zip(snippets, ENVIRONMENTS, strict=True):
        assert load_settings(snippet, environment.id).network.plugin == environment.plugins[0]


def test_ids_are_unique() -> None:
    """An id names one plugin, or one overlay."""
    assert len({plugin.id for plugin in PLUGINS}) == len(PLUGINS)
    assert len({environment.id for environment in ENVIRONMENTS}) == len(ENVIRONMENTS)


@EVERY_PLUGIN
def test_a_plugin_has_its_sources(plugin: NetworkPlugin) -> None:
    """No row of the table rests on hearsay."""
    assert plugin.sources
    assert all(source.text for source in plugin.sources)


@EVERY_ENVIRONMENT
def test_an_environment_names_plugins_of_the_table(environment: Environment) -> None:
    """So its overlay can be judged as they see it; and it has sources of its own."""
    assert environment.plugins
    assert all(PLUGINS_BY_ID[plugin].enforces for plugin in environment.plugins)
    assert environment.sources


@EVERY_ENVIRONMENT
def test_addresses_of_an_environment_are_addresses(environment: Environment) -> None:
    """They become settings and policies as they are."""
    for address in environment.dns.addresses:
        ip_address(address)
    for check in environment.health_checks:
        for network in check.addresses:
            ip_network(network)
