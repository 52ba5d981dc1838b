"""Clusters that need a component of the bundle each, for the tests of components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bundle.istio_manifests import INSTALLATIONS, gateway_chart, installed, minimal
from tests.bundle.overlays import Built, objects_of, with_components
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
    "gateway-chart": Use(lambda: [*gateway_chart(), *minimal()]),
    "kyma-module-labels": Use(_kyma, ("kyma", "egress-gateway"), scrapers=("kyma-system",)),
    "metrics": Use(_istio("demo", PROMETHEUS), ("egress-gateway",), METRICS, ("monitoring",)),
    "metrics of ztunnel": Use(_istio("ambient", PROMETHEUS), ("ambient",), METRICS, ("monitoring",)),
    "tracing": Use(_traced, ("egress-gateway",), TRACING),
}
"""By component, with what of it is used there behind ` of `."""


def component_of(use: str) -> str:
    """The component that a use is of."""
    return use.partition(" of ")[0]
