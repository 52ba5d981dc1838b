"""Metrics ports, where the settings ask for them."""

from __future__ import annotations

import pytest
from tests.istio.outcomes import ambient, first_flow, flows, injected, istiod, listening
from tests.values import deployment, host_daemon

from istio_netpol.istio.rules.scrape import RULE
from istio_netpol.model.settings import Settings

ANYBODY = Settings(check_scrape=True)
MONITORED = Settings(check_scrape=True, scrape_namespaces=("monitoring",))
WEB = listening("shop/web", 80)


def test_nothing_is_required_by_default() -> None:
    """Scraping is checked on request only."""
    assert flows(RULE, WEB, injected("shop")) == []


def test_sidecars_have_two_metrics_ports() -> None:
    """The agent's merged metrics and Envoy's own."""
    assert flows(RULE, WEB, injected("shop"), settings=ANYBODY) == [
        "any -> shop/web TCP 15020",
        "any -> shop/web TCP 15090",
    ]


def test_flow_says_why() -> None:
    """The reason names the metrics."""
    flow = first_flow(RULE, WEB, injected("shop"), settings=ANYBODY)
    assert flow.reason == "the merged metrics of Deployment shop/web are scraped there"
    assert str(flow.source) == "whoever scrapes metrics"


def test_pods_outside_the_mesh_and_ambient_pods_have_none() -> None:
    """No proxy, no metrics port."""
    assert flows(RULE, WEB, settings=ANYBODY) == []
    assert flows(RULE, WEB, ambient("shop"), settings=ANYBODY) == []


def test_istiod_and_ztunnel_have_ports_of_their_own() -> None:
    """istiod serves metrics on 15014, ztunnel on 15020."""
    assert flows(RULE, istiod(), settings=ANYBODY) == ["any -> istio-system/istiod TCP 15014"]
    ztunnel = deployment("istio-system/ztunnel", app="ztunnel")
    assert flows(RULE, ztunnel, settings=ANYBODY) == ["any -> istio-system/ztunnel TCP 15020"]


def test_the_cni_agent_has_a_port_where_policies_apply_to_it() -> None:
    """It runs outside the node's network since Istio 1.26, and before that no policy concerned it."""
    labels = {"k8s-app": "istio-cni-node"}
    agent = deployment("istio-system/istio-cni-node", **labels)
    assert flows(RULE, agent, settings=ANYBODY) == ["any -> istio-system/istio-cni-node TCP 15014"]
    older = host_daemon("kube-system/istio-cni-node", at=["192.0.2.1"], **labels)
    assert flows(RULE, older, settings=ANYBODY) == []


@pytest.mark.parametrize(
    ("name", "port"),
    [("istio-operator", 8080), ("api-gateway-operator", 8080), ("eventing-manager", 8080), ("nats", 7777)],
)
def test_kyma_s_modules_have_ports_where_no_policy_of_theirs_opens_them(name: str, port: int) -> None:
    """The same labels in another namespace are somebody's own."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "eventing"}
    module = deployment("kyma-system/module", **labels)
    assert f"any -> kyma-system/module TCP {port}" in flows(RULE, module, settings=ANYBODY)
    assert flows(RULE, deployment("shop/module", **labels), settings=ANYBODY) == []


def test_a_module_whose_own_policies_open_its_metrics_is_left_to_them() -> None:
    """Telemetry's manager says itself who may scrape it."""
    labels = {"app.kubernetes.io/name": "manager", "control-plane": "telemetry-manager"}
    assert flows(RULE, deployment("kyma-system/telemetry-manager", **labels), settings=ANYBODY) == []


def test_named_namespaces_scrape() -> None:
    """Where the administrator names namespaces, their pods are the source, themselves excepted."""
    prometheus = deployment("monitoring/prometheus")
    found = flows(RULE, WEB, injected("shop"), prometheus, settings=MONITORED)
    assert found == [
        "monitoring/prometheus -> shop/web TCP 15020",
        "monitoring/prometheus -> shop/web TCP 15090",
    ]
    assert flows(RULE, prometheus, injected("monitoring"), settings=MONITORED) == []


def test_host_network_is_beyond_policies() -> None:
    """Policies do not select pods in the host's network."""
    subject = host_daemon("istio-system/ztunnel", at=["192.0.2.1"], app="ztunnel")
    assert flows(RULE, subject, settings=ANYBODY) == []
