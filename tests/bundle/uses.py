"""Clusters that need a component of the bundle each, for the tests of components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from tests.bundle.istio_charts import gateway_chart
from tests.bundle.istio_manifests import INSTALLATIONS, installed, minimal
from tests.bundle.overlays import Built, objects_of, with_components
from tests.istio.builders import service
from tests.values import deployment

PROMETHEUS = deployment("monitoring/prometheus")
OPT_IN = "networking.kyma-project.io"
API_GATEWAY_OPERATOR = {
    "app.kubernetes.io/name": "api-gateway-operator",
    "kyma-project.io/module": "api-gateway",
}
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


class Use(Struct, frozen=True):
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
    settings = [part for option in SPANS for part in ("--set", option)]
    collector = [deployment("observability/otel"), service("observability/otel", 4318)]
    return [*installed(*INSTALLATIONS["an egress gateway"], *settings), *collector]


def _kyma_operators() -> Sequence[Any]:
    named = ("istio-operator", "api-gateway-operator")
    operators = [deployment(f"kyma-system/{name}", **{"app.kubernetes.io/name": name}) for name in named]
    return [*installed(*INSTALLATIONS["default"]), *operators, PROMETHEUS]


def _kyma(*pods: Any) -> Callable[[], Sequence[Any]]:
    """Gateways, a workload that let itself be exposed, and pods of Kyma's namespace."""
    module = deployment("kyma-system/metric-agent", **{"kyma-project.io/module": "telemetry"})
    exposed = deployment("shop/cart", app="cart", **{f"{OPT_IN}/from-ingressgateway": "allowed"})
    others = [module, exposed, service("shop/cart", 8080), *objects_of(EXPOSED), *pods]
    return lambda: [*installed(*INSTALLATIONS["an egress gateway"]), *others]


def _opted_in(name: str, *labels: str) -> Any:
    return deployment(f"kyma-system/{name}", **{f"{OPT_IN}/{label}": "allowed" for label in labels})


SCRAPERS = (_opted_in("rma", "metrics-scraping"), _opted_in("scraper", "istio-metrics"))
OPERATOR_AND_SCRAPER = (
    deployment("kyma-system/api-gateway", **API_GATEWAY_OPERATOR),
    _opted_in("rma", "metrics-scraping", "istio-metrics"),
)
"""Kyma's policy for the operator knows two of the three labels by which pods scrape istiod."""

USES = {
    "ambient": Use(_istio("ambient")),
    "egress-gateway": Use(_istio("an egress gateway")),
    "gateway-chart": Use(lambda: [*gateway_chart("istio-ingressgateway"), *minimal()]),
    "kyma-metrics": Use(_kyma_operators, ("kyma", "metrics"), METRICS, ("monitoring",)),
    "kyma-module-labels": Use(_kyma(*SCRAPERS), ("kyma", "egress-gateway"), scrapers=("kyma-system",)),
    "kyma-module-labels of the api-gateway module": Use(
        _kyma(*OPERATOR_AND_SCRAPER), ("kyma", "egress-gateway"), scrapers=("kyma-system",)
    ),
    "metrics": Use(_istio("demo", PROMETHEUS), ("egress-gateway",), METRICS, ("monitoring",)),
    "metrics of the CNI agent": Use(_istio("the CNI agent", PROMETHEUS), (), METRICS, ("monitoring",)),
    "metrics of ztunnel": Use(_istio("ambient", PROMETHEUS), ("ambient",), METRICS, ("monitoring",)),
    "tracing": Use(_traced, ("egress-gateway",), TRACING),
}
"""By component, with what of it is used there behind ` of `."""


def component_of(use: str) -> str:
    """The component that a use is of."""
    return use.partition(" of ")[0]
