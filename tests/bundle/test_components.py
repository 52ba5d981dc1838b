"""Each component lets through what its part of a cluster needs, and has no rule that could be missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.istio_manifests import INSTALLATIONS, gateway_chart, installed
from tests.bundle.overlays import (
    KUSTOMIZE,
    OVERLAYS,
    Built,
    objects_of,
    policies,
    with_components,
)
from tests.istio.builders import service
from tests.values import deployment

METRICS = "metrics:\n  namespace: monitoring\n"
TRACING = "tracing:\n  namespace: observability\n  podLabels:\n    app: otel\n  port: 4318\n"
SPANS = (
    "meshConfig.extensionProviders[0].name=otel",
    "meshConfig.extensionProviders[0].opentelemetry.service=otel.observability.svc.cluster.local",
    "meshConfig.extensionProviders[0].opentelemetry.port=4318",
    "meshConfig.defaultProviders.tracing[0]=otel",
)
"""Mesh config that has every proxy send its spans to a Service of another namespace."""


EXPOSED = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: cart, port: {number: 8080}}}]}]
"""
"""A route from the ingress gateway to a workload of an application namespace."""


@dataclass(frozen=True, slots=True)
class Use:
    """A cluster that needs a component: what runs in it, further components, values, and who scrapes."""

    control_plane: Callable[[], Sequence[Any]]
    beside: tuple[str, ...] = ()
    values: str = ""
    scrapers: tuple[str, ...] = ()

    def built(self, tree: Path, *components: str) -> Built:
        """The overlay for kind with these components and what the cluster needs besides."""
        bundle = with_components(tree, "kind", [*self.beside, *components], self.values)
        asked = replace(bundle.settings, check_scrape=bool(self.scrapers), scrape_namespaces=self.scrapers)
        return replace(bundle, settings=asked)


def _istio(name: str, *others: Any) -> Callable[[], Sequence[Any]]:
    return lambda: [*installed(*INSTALLATIONS[name]), *others]


def _traced() -> Sequence[Any]:
    settings = [part for each in SPANS for part in ("--set", each)]
    collector = [deployment("observability/otel"), service("observability/otel", 4318)]
    return [*installed(*INSTALLATIONS["an egress gateway"], *settings), *collector]


def _kyma() -> Sequence[Any]:
    module, opted_in = "kyma-project.io/module", "networking.kyma-project.io"
    return [
        *installed(*INSTALLATIONS["an egress gateway"]),
        deployment("kyma-system/metric-agent", **{module: "telemetry"}),
        deployment("kyma-system/rma", **{f"{opted_in}/metrics-scraping": "allowed"}),
        deployment("kyma-system/scraper", **{f"{opted_in}/istio-metrics": "allowed"}),
        deployment("shop/cart", app="cart", **{f"{opted_in}/from-ingressgateway": "allowed"}),
        service("shop/cart", 8080),
        *objects_of(EXPOSED),
    ]


PROMETHEUS = deployment("monitoring/prometheus")
USES = {
    "ambient": Use(_istio("ambient")),
    "egress-gateway": Use(_istio("an egress gateway")),
    "gateway-chart": Use(gateway_chart),
    "kyma-module-labels": Use(_kyma, ("egress-gateway",), scrapers=("kyma-system",)),
    "metrics": Use(_istio("demo", PROMETHEUS), ("egress-gateway",), METRICS, ("monitoring",)),
    "metrics of ztunnel": Use(_istio("ambient", PROMETHEUS), ("ambient",), METRICS, ("monitoring",)),
    "tracing": Use(_traced, ("egress-gateway",), TRACING),
}
"""By component, with what of it is used there behind ` of `."""

TESTED_APART = {"app-namespace", "document-literal", "webhook"}
"""Components whose tests have a file of their own."""

LISTED = {
    "api-gateway",
    "dns-8053",
    "dns-openshift",
    "namespaces",
    "node-local-dns",
    "values",
}
"""Components that overlays list, whose rules are tested there."""


def _component(use: str) -> str:
    return use.partition(" of ")[0]


@pytest.mark.parametrize("use", USES)
def test_a_component_opens_what_its_part_needs_and_nothing_else(tree: Path, use: str) -> None:
    """Without it something is denied; with it nothing is, and no rule is wider than its connections."""
    cluster = USES[use]
    assert cluster.built(tree).complaints(cluster.control_plane(), warnings=True) != []
    bundle = cluster.built(tree, _component(use))
    assert bundle.complaints(cluster.control_plane(), warnings=True) == []


@pytest.mark.parametrize("component", sorted({_component(use) for use in USES}))
def test_every_rule_of_a_component_is_missed_when_it_is_taken_away(tree: Path, component: str) -> None:
    """In one of the clusters that need the component, for each of its rules, ports and peers."""
    unnoticed: set[str] | None = None
    for use in (each for each in USES if _component(each) == component):
        cluster = USES[use]
        plain = {(each.key, each.ingress, each.egress) for each in policies(cluster.built(tree).objects)}
        bundle = cluster.built(tree, component)
        own = [
            each for each in policies(bundle.objects) if (each.key, each.ingress, each.egress) not in plain
        ]
        assert own
        found = set(bundle.unnoticed(cluster.control_plane(), own, warnings=True))
        unnoticed = found if unnoticed is None else unnoticed & found
    assert unnoticed == set()


def test_every_component_is_held_to_this() -> None:
    """Whoever adds a component says which cluster needs it, or lists it in an overlay."""
    folders = {each.name for each in (KUSTOMIZE / "components").iterdir()}
    assert {_component(each) for each in USES} | TESTED_APART | LISTED == folders
    listed = "".join((KUSTOMIZE / "overlays" / name / "kustomization.yaml").read_text() for name in OVERLAYS)
    assert all(f"components/{each}\n" in listed for each in LISTED)


def test_metrics_are_for_the_namespace_that_values_name(tree: Path) -> None:
    """A namespace that nobody named scrapes nothing."""
    cluster = replace(USES["metrics"], values=METRICS.replace("monitoring", "shop"))
    flows = cluster.built(tree, "metrics").proof(cluster.control_plane()).flows
    assert {each.flow.port for each in flows if not each.verdict.allowed} == {15014, 15020, 15090}


MISSING = {
    "metrics.namespace": ("metrics", "  namespace: monitoring\n"),
    "tracing.namespace": ("tracing", "  namespace: observability\n"),
    "tracing.podLabels": ("tracing", "  podLabels:\n    app: otel\n"),
    "tracing.port": ("tracing", "  port: 4318\n"),
}


@pytest.mark.parametrize("value", MISSING)
def test_a_component_without_its_value_fails_the_build(tree: Path, value: str) -> None:
    """Nobody opens anything to a namespace or a port that is not there."""
    component, line = MISSING[value]
    cluster = USES[component]
    with pytest.raises(AssertionError, match=f"`{value}` is missing"):
        replace(cluster, values=cluster.values.replace(line, "")).built(tree, component)
