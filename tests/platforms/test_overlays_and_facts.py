"""Overlays, their environments and the bundle's page say what the table of platforms says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.bundle.overlays import KUSTOMIZE, UNSET, policies
from tests.platforms.clusters import BY_NAME, CLUSTERS

from istio_netpol.config.settings_file import load_settings
from istio_netpol.model.connections import Protocol
from istio_netpol.model.settings import Settings
from istio_netpol.platforms.environments import ENVIRONMENTS, ENVIRONMENTS_BY_ID, Dial, Environment

PLAIN = sorted({cluster.overlay for cluster in CLUSTERS})
PAGE = (KUSTOMIZE / "README.md").read_text()
STATUS_PORT = "15021"


def environment_file(name: str) -> Settings:
    """What the overlay's proof assumes, where DNS answers at an address that only the cluster knows."""
    file = KUSTOMIZE / "overlays" / name / "environment.yaml"
    return load_settings(file.read_text(), file.name, () if name != "eks-auto" else ("10.100.0.10",))


def test_every_environment_of_the_table_has_an_overlay() -> None:
    """Its id is the overlay's name, by which a team picks it."""
    shipped = {folder.name for folder in (KUSTOMIZE / "overlays").iterdir()}
    assert {
        environment.id for environment in ENVIRONMENTS if not environment.id.startswith("kyma")
    } <= shipped
    assert {name for name in shipped if not name.startswith("kyma")} <= set(ENVIRONMENTS_BY_ID)


@pytest.mark.parametrize("name", PLAIN)
def test_the_proof_assumes_the_facts(name: str) -> None:
    """Ports, plugin, DNS, callers of webhooks and health checks; a fact that changes changes the overlay."""
    facts, settings = ENVIRONMENTS_BY_ID[name], environment_file(name)
    _assumes_ports_and_dns(settings, facts)
    assert settings.network.plugin == facts.plugins[0]
    assert settings.api_server.on_nodes == facts.api_server.on_nodes
    assert bool(settings.api_server.host) == (facts.api_server.dials is Dial.NAME)
    assert set(settings.mesh.health_check_sources) == _checks(facts)


def _assumes_ports_and_dns(settings: Settings, facts: Environment) -> None:
    assert settings.api_server.port == facts.api_server.port
    assert settings.dns.port == facts.dns.port
    assert settings.dns.pods == bool(facts.dns.pods)
    if facts.dns.pods:
        assert settings.dns.labels == facts.dns.pods[0].pod_labels
        assert settings.dns.namespace == facts.dns.pods[0].namespace


def _checks(facts: Environment) -> set[str]:
    """The ranges of the checks that reach the status port; anywhere where nobody knows them."""
    reaching = [check for check in facts.health_checks if STATUS_PORT in check.ports]
    return {address for check in reaching for address in check.addresses or ("0.0.0.0/0",)}


@pytest.mark.parametrize("name", [overlay for overlay in PLAIN if overlay not in {"eks", "generic"}])
def test_the_policies_open_dns_where_the_facts_say_that_it_answers(tmp_path: Path, name: str) -> None:
    """Each pod, the pods' port and each address, and the Service's address where pods ask it untranslated.
    On own machines and on EKS node-local DNS is the owner's choice, and a component."""
    facts = ENVIRONMENTS_BY_ID[name].dns
    bundle = BY_NAME[name].bundle(tmp_path)
    (istiod,) = [policy for policy in policies(bundle.objects) if policy.name == "istiod-to-dns"]
    peers = [peer for rule in istiod.egress for peer in rule.peers]
    blocks = {peer.ip_block.cidr for peer in peers if peer.ip_block}
    selected = [dict(peer.pod_selector.match_labels) for peer in peers if peer.pod_selector]
    assert [dict(pods.pod_labels) for pods in facts.pods] == selected
    wanted = {f"{address}/32" for address in facts.addresses if ":" not in address}
    assert wanted <= blocks
    assert len(blocks - wanted) == int(facts.asks_service_address)
    ports = {port.port for rule in istiod.egress for port in rule.ports}
    assert ports == ({facts.port} if not blocks else {facts.port, 53})


@pytest.mark.parametrize("name", PLAIN)
def test_the_page_has_the_facts_of_each_overlay(name: str) -> None:
    """A team reads there what its overlay opens, and what it has to fill in."""
    facts = ENVIRONMENTS_BY_ID[name]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` | ")]
    _, _, fill_in, api_server, dns, besides, _ = (cell.strip() for cell in row.split("|"))
    values = (KUSTOMIZE / "overlays" / name / "values.yaml").read_text()
    unset = [path.partition(".0")[0] for path in UNSET if UNSET[path] in values]
    assert re.findall(r"`(.+?)`", fill_in) == unset
    assert api_server.endswith(f", {facts.api_server.port}")
    told = environment_file(name).dns
    labels = [f"`{key}: {value}`" for pods in facts.dns.pods for key, value in pods.pod_labels.items()]
    assert re.findall(r"`.+?: .+?`", dns) == labels
    assert f" on {facts.dns.port}" in dns
    known = [address for address in (told.node_local_address, *told.addresses) if address != "10.100.0.10"]
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", dns)) == set(filter(None, known))
    assert ("the Service's address" in dns) == _names_service(name)
    assert ("health checks" in besides) == bool(_checks(facts))
    assert all(f"`{key}: {value}`" in besides for key, value in _callers(name))


def _names_service(name: str) -> bool:
    return "dns-service" in (KUSTOMIZE / "overlays" / name / "kustomization.yaml").read_text()


def _callers(name: str) -> list[tuple[str, str]]:
    return [
        pair for caller in environment_file(name).api_server.callers for pair in caller.pod_labels.items()
    ]


@pytest.mark.parametrize("platform", ["aks", "gardener", "gke"])
def test_callers_of_webhooks_are_those_of_the_facts(platform: str) -> None:
    """The component for the platform names the very pods, in their namespace."""
    file = KUSTOMIZE / "components" / f"webhook-callers-{platform}" / "kustomization.yaml"
    known = [dict(caller.pod_labels) for caller in ENVIRONMENTS_BY_ID[platform].api_server.callers]
    for patch in yaml.safe_load(file.read_text())["patches"]:
        ((operation,),) = [yaml.safe_load(patch["patch"])]
        (peer,) = operation["value"]
        assert peer["podSelector"]["matchLabels"] in known
        assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}


def test_dns_is_asked_by_both_protocols(tmp_path: Path) -> None:
    """Long answers come over TCP, wherever DNS is."""
    for cluster in CLUSTERS:
        bundle = cluster.bundle(tmp_path / cluster.name)
        for policy in policies(bundle.objects):
            for rule in policy.egress:
                protocols = {port.protocol for port in rule.ports if port.port in {53, 5353, 8053}}
                assert protocols in (set(), {Protocol.UDP, Protocol.TCP})


def test_kyma_on_gardener_is_gardener_with_kyma() -> None:
    """A shoot reaches API server and DNS in the same way, whatever runs on it."""
    plain, kyma = (KUSTOMIZE / "overlays" / name for name in ("gardener", "kyma-gardener"))
    for file in ("values.yaml", "environment.yaml"):
        assert (kyma / file).read_text() == (plain / file).read_text()
    listed = [
        yaml.safe_load((folder / "kustomization.yaml").read_text())["components"] for folder in (plain, kyma)
    ]
    assert [overlay for overlay in listed[1] if "/kyma" not in overlay] == listed[0]


def test_kyma_of_btp_assumes_the_facts_for_what_it_opens() -> None:
    """Ports, DNS and callers of webhooks. Kyma's own policies open the API server, so its host stands
    nowhere, and these policies hold with any plugin."""
    facts, settings = ENVIRONMENTS_BY_ID["kyma-btp"], environment_file("kyma-btp")
    _assumes_ports_and_dns(settings, facts)
    told = [(caller.namespace, caller.pod_labels) for caller in settings.api_server.callers]
    assert told == [(caller.namespace, caller.pod_labels) for caller in facts.api_server.callers]
