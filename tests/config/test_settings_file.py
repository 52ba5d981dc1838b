"""The settings file: what it takes, and what it says of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from istio_netpol.config.names import fields_by_key, is_group
from istio_netpol.config.settings_file import load_settings
from istio_netpol.config.values import LIMITS
from istio_netpol.errors import SettingsError
from istio_netpol.model.settings import CallerSettings, Mode, RuleSeverity, Settings, Translation
from istio_netpol.platforms.plugins import PLUGINS_BY_ID

MISTAKES = yaml.safe_load((Path(__file__).parent / "mistakes.yaml").read_text())
HEADER = "apiVersion: istio-netpol.io/v1\nkind: Settings\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(HEADER + text, "netpol.yaml")
    return str(caught.value).splitlines()


def test_no_file_means_defaults() -> None:
    """Without a file every setting has its default."""
    assert load_settings(None, "") == Settings()


def test_an_empty_group_keeps_its_defaults() -> None:
    """`mesh:` with nothing below it is not a mistake."""
    assert load_settings(HEADER + "mesh:\ndns: {}\n", "netpol.yaml") == Settings()


def test_values_of_every_shape_are_read() -> None:
    """Texts, numbers, booleans, enums, lists and mappings arrive in their fields."""
    settings = load_settings(
        HEADER
        + """
mesh: {rootNamespace: mesh, discoveryPort: 15112, remoteJwks: true, istiodLabels: {app: pilot}}
hosts: {knownAddresses: {keys.example.com: [192.0.2.7, "2001:db8::1"]}, podCidrs: [10.0.0.0/8]}
admission: {defaultMode: reject, floor: warn}
scrapeNamespaces: [monitoring]
""",
        "netpol.yaml",
    )
    assert settings.mesh.root_namespace == "mesh"
    assert settings.mesh.discovery_port == 15112
    assert settings.mesh.remote_jwks is True
    assert settings.mesh.istiod_labels == {"app": "pilot"}
    assert settings.hosts.known_addresses == {"keys.example.com": ("192.0.2.7", "2001:db8::1")}
    assert settings.hosts.pod_cidrs == ("10.0.0.0/8",)
    assert (settings.admission.default_mode, settings.admission.floor) == (Mode.REJECT, Mode.WARN)
    assert settings.scrape_namespaces == ("monitoring",)


def test_settings_of_the_network_are_read() -> None:
    """Plugin and overrides, what pods dial, who calls webhooks, and where DNS answers."""
    settings = load_settings(
        HEADER
        + """
network: {plugin: cilium, judges: before, ipBlocksMatchNodes: true, ipBlocksMatchPods: false}
apiServer:
  host: api.example.com
  hostPort: 8443
  serviceAddress: 172.20.0.1
  onNodes: true
  callers:
  - {namespace: kube-system, podLabels: {app: tunnel}}
  - {namespaceLabels: {purpose: system}, podLabels: {app: tunnel}}
dns: {pods: false, addresses: [172.20.0.10, "fd00::a"]}
""",
        "netpol.yaml",
    )
    network, api_server = settings.network, settings.api_server
    assert (network.plugin, network.judges) == ("cilium", Translation.BEFORE)
    assert (network.ip_blocks_match_nodes, network.ip_blocks_match_pods) == (True, False)
    assert (api_server.host, api_server.host_port) == ("api.example.com", 8443)
    assert (api_server.service_address, api_server.on_nodes) == ("172.20.0.1", True)
    assert api_server.callers == (
        CallerSettings("kube-system", {}, {"app": "tunnel"}),
        CallerSettings("", {"purpose": "system"}, {"app": "tunnel"}),
    )
    assert (settings.dns.pods, settings.dns.addresses) == (False, ("172.20.0.10", "fd00::a"))


def test_off_is_a_mode_and_no_boolean() -> None:
    """YAML 1.1 reads `off` as false; here it is the mode."""
    settings = load_settings(HEADER + "admission: {defaultMode: off}\n", "netpol.yaml")
    assert settings.admission.default_mode is Mode.OFF


def test_severities_are_read_by_rule() -> None:
    """Rules of both kinds can be named, those of flows and others; `off` is a word here too."""
    settings = load_settings(HEADER + "severities: {broad-policy: info, scrape: off}\n", "netpol.yaml")
    assert settings.severities == {"broad-policy": RuleSeverity.INFO, "scrape": RuleSeverity.OFF}


def test_all_mistakes_are_told_at_once() -> None:
    """One run names every mistake, in the order of the file."""
    assert mistakes("mesh:\n  discoverPort: 15012\ndns:\n  port: many\nadmision: {}\n") == [
        "netpol.yaml:4: mesh.discoverPort: is not a setting; did you mean discoveryPort?",
        "netpol.yaml:6: dns.port = many: is not a whole number",
        "netpol.yaml:7: admision: is not a setting; did you mean admission?",
    ]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake["settings"])
def test_a_mistake_is_told_with_its_place_and_its_remedy(mistake: dict[str, str]) -> None:
    """Every message has line, path, value, cause and, where there is one, remedy."""
    says = mistake["says"].replace("PLUGINS", ", ".join(sorted(PLUGINS_BY_ID)))
    assert mistakes(mistake["settings"]) == [f"netpol.yaml:3: {says}"]


def test_a_key_that_is_set_twice_is_a_mistake() -> None:
    """YAML would silently take the later one."""
    assert mistakes("checkScrape: false\ncheckScrape: false\n") == [
        "netpol.yaml:4: checkScrape: is set twice; keep one of them"
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "netpol.yaml: holds nothing; start with apiVersion: istio-netpol.io/v1 and kind: Settings"),
        (
            "- a\n",
            "netpol.yaml: is not a mapping; start with apiVersion: istio-netpol.io/v1 and kind: Settings",
        ),
        ("a: [\n", "netpol.yaml:2: is not valid YAML: expected the node content, but found '<stream end>'"),
        (
            "a: 1\n--- \nb: 2\n",
            "netpol.yaml:2: holds a second document, and settings are one; keep the one with kind: Settings",
        ),
    ],
)
def test_what_is_no_settings_file_is_told_so(text: str, sentence: str) -> None:
    """Empty files, lists, broken YAML and streams are refused as a whole."""
    with pytest.raises(SettingsError) as caught:
        load_settings(text, "netpol.yaml")
    assert str(caught.value) == sentence


def test_another_version_is_refused() -> None:
    """A file for another version is not read as if it were this one's."""
    with pytest.raises(SettingsError) as caught:
        load_settings("apiVersion: istio-netpol.io/v2\n", "netpol.yaml")
    assert str(caught.value).splitlines() == [
        "netpol.yaml:1: apiVersion = istio-netpol.io/v2: is not what this version reads; "
        "write apiVersion: istio-netpol.io/v1",
        "netpol.yaml:1: kind: is missing; write kind: Settings",
    ]


def test_every_number_has_limits() -> None:
    """A number without limits would be taken however large; a new setting needs a row."""
    numbers = set()
    for group_key, group in fields_by_key(Settings).items():
        type_ = get_type_hints(Settings)[group.name]
        if is_group(type_):
            hints = get_type_hints(type_)
            numbers |= {
                f"{group_key}.{key}"
                for key, field in fields_by_key(type_).items()
                if hints[field.name] is int
            }
        elif type_ is int:
            numbers.add(group_key)
    assert numbers - set(LIMITS) == set()


def test_defaults_pass_their_own_limits() -> None:
    """A file that spells out a default is accepted."""
    text = "mesh: {rootNamespace: istio-system}\nhosts: {widestIpv4Block: 22, allowedHosts: ['*']}\n"
    assert load_settings(HEADER + text, "netpol.yaml") == Settings()


def test_a_wrong_key_is_told_beside_wrong_values() -> None:
    """Also in a mapping whose values are wrong."""
    text = """
severities: {borad-policy: info, dns: loud}
hosts: {knownAddresses: {"*.example.com": [192.0.2.7]}}
exclude: [5]
"""
    assert mistakes(text) == [
        "netpol.yaml:4: severities.borad-policy: is not the id of a rule; did you mean broad-policy?",
        "netpol.yaml:4: severities.dns = loud: is not known; use error, warning, info, off",
        "netpol.yaml:5: hosts.knownAddresses.*.example.com: is not a host name; write it as example.com, in "
        "lower case",
        "netpol.yaml:6: exclude[0] = 5: is not a text; quote it",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "---\nkind: ConfigMap\n",
            "netpol.yaml:3: holds a second document, and settings are one; keep the one with kind: Settings",
        ),
        (
            "mesh:\n\trootNamespace: a\n",
            "netpol.yaml:4: is not valid YAML: found character '\\t' that cannot start any token; indent by "
            "spaces, not by tabs",
        ),
    ],
)
def test_what_is_not_one_document_of_yaml_is_told_with_its_remedy(text: str, mistake: str) -> None:
    """With the line."""
    assert mistakes(text) == [mistake]
