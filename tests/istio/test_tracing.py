"""Telemetry and mesh config: from proxies to the collector of their spans."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import (
    ambient,
    findings,
    first_flow,
    flows,
    gateway_api_gateway,
    injected,
    listening,
    mesh_config,
    ref,
    service,
)

from istio_netpol.istio.rules.tracing import RULE
from istio_netpol.model.control_plane import ExtensionProvider, MeshConfig
from istio_netpol.model.istio_security import Telemetry
from istio_netpol.model.references import TargetRef

OTEL = ExtensionProvider("otel", "opentelemetry", "otel.observe.svc.cluster.local", 4317)
JAEGER = ExtensionProvider("jaeger", "zipkin", "jaeger.observe.svc.cluster.local", 9411)
COLLECTORS = (
    service("observe/otel", (4317, 14317)),
    listening("observe/otel", 14317),
    service("observe/jaeger", (9411, 19411)),
    listening("observe/jaeger", 19411),
)
SHOP = (injected("shop"), listening("shop/cart", 80), listening("shop/web", 80))
CONFIG = mesh_config(OTEL, JAEGER)
TO_OTEL = ["shop/cart -> observe/otel TCP 14317", "shop/web -> observe/otel TCP 14317"]
TO_JAEGER = ["shop/cart -> observe/jaeger TCP 19411", "shop/web -> observe/jaeger TCP 19411"]


def telemetry(*providers: str, key: str = "shop/default", **fields: Any) -> Telemetry:
    return Telemetry(ref("Telemetry", key), **{"tracing_providers": providers, "has_tracing": True, **fields})


def config(**fields: Any) -> MeshConfig:
    return mesh_config(OTEL, JAEGER, **fields)


def test_proxies_send_to_the_provider() -> None:
    """Every sidecar of the namespace connects to the provider's pods."""
    assert flows(RULE, telemetry("otel"), CONFIG, *COLLECTORS, *SHOP) == TO_OTEL


def test_first_provider_counts() -> None:
    """Istio uses one provider."""
    assert flows(RULE, telemetry("jaeger", "otel"), CONFIG, *COLLECTORS, *SHOP) == TO_JAEGER


def test_selector_chooses_the_proxies() -> None:
    """A Telemetry with a selector is about those pods."""
    found = flows(RULE, telemetry("otel", selector={"app": "web"}), CONFIG, *COLLECTORS, *SHOP)
    assert found == ["shop/web -> observe/otel TCP 14317"]


def test_root_namespace_means_the_mesh() -> None:
    """There the collector is a shared destination."""
    subject = telemetry("otel", key="istio-system/default")
    assert flows(RULE, subject, CONFIG, *COLLECTORS, *SHOP) == TO_OTEL
    flow = first_flow(RULE, subject, CONFIG, *COLLECTORS, *SHOP)
    assert flow.shared
    assert flow.reason == "Telemetry istio-system/default has proxies send their spans there"


def test_selector_of_the_root_namespace_stays_there() -> None:
    """Unlike authorization, telemetry of the root namespace selects no pods of others."""
    subject = telemetry("otel", key="istio-system/web", selector={"app": "web"})
    assert flows(RULE, subject, CONFIG, *COLLECTORS, *SHOP) == []


def test_more_specific_telemetry_takes_over() -> None:
    """A proxy sends what its most specific Telemetry says, and that object asks for it."""
    mesh = telemetry("otel", key="istio-system/default")
    own = telemetry("jaeger")
    assert flows(RULE, mesh, own, CONFIG, *COLLECTORS, *SHOP) == []
    assert flows(RULE, own, mesh, CONFIG, *COLLECTORS, *SHOP) == TO_JAEGER
    web = telemetry("otel", key="shop/web", selector={"app": "web"})
    assert flows(RULE, own, web, CONFIG, *COLLECTORS, *SHOP) == TO_JAEGER[:1]


def test_provider_is_inherited() -> None:
    """A Telemetry that only sets a rate sends to its parent's provider."""
    assert (
        flows(RULE, telemetry(), telemetry("otel", key="istio-system/default"), CONFIG, *COLLECTORS, *SHOP)
        == TO_OTEL
    )


def test_telemetry_without_tracing_changes_nothing() -> None:
    """Objects about metrics or logs do not count."""
    metrics = telemetry(has_tracing=False)
    mesh = telemetry("otel", key="istio-system/default")
    assert flows(RULE, mesh, metrics, CONFIG, *COLLECTORS, *SHOP) == TO_OTEL
    assert flows(RULE, metrics, mesh, CONFIG, *COLLECTORS, *SHOP) == []


def test_disabled_tracing_sends_nothing() -> None:
    """`disableSpanReporting` turns the parent's tracing off."""
    off = telemetry(disables_tracing=True)
    mesh = telemetry("otel", key="istio-system/default")
    assert flows(RULE, off, mesh, CONFIG, *COLLECTORS, *SHOP) == []
    assert flows(RULE, mesh, off, CONFIG, *COLLECTORS, *SHOP) == []


def test_default_providers_need_no_telemetry() -> None:
    """The mesh config alone has proxies trace, those of which no Telemetry decides."""
    subject = config(default_tracing_providers=("otel",))
    assert flows(RULE, subject, *COLLECTORS, *SHOP) == TO_OTEL
    assert first_flow(RULE, subject, *COLLECTORS, *SHOP).shared
    assert flows(RULE, subject, telemetry("jaeger"), *COLLECTORS, *SHOP) == []


def test_tracing_address_of_the_mesh_config() -> None:
    """`defaultConfig.tracing` counts where tracing is on, or where a Telemetry names no provider."""
    address = "jaeger.observe:9411"
    assert flows(RULE, config(tracing_address=address, enable_tracing=True), *COLLECTORS, *SHOP) == TO_JAEGER
    assert flows(RULE, config(tracing_address=address), *COLLECTORS, *SHOP) == []
    assert flows(RULE, telemetry(), config(tracing_address=address), *COLLECTORS, *SHOP) == TO_JAEGER


def test_mesh_config_of_another_revision_is_not_theirs() -> None:
    """Proxies follow the mesh config of their own revision."""
    canary = MeshConfig(
        ref("ConfigMap", "istio-system/istio-canary"), "canary", default_tracing_providers=("otel",)
    )
    assert flows(RULE, canary, CONFIG, *COLLECTORS, *SHOP) == []


def test_mesh_config_without_tracing_needs_nothing() -> None:
    """No collector, no flow, no finding."""
    assert flows(RULE, CONFIG, *COLLECTORS, *SHOP) == []
    assert findings(RULE, telemetry(), CONFIG, *SHOP) == []


def test_gateways_trace_and_ambient_pods_do_not() -> None:
    """Whatever has an Envoy sends spans."""
    edge = listening("shop/edge", 80, annotations={"inject.istio.io/templates": "gateway"})
    others = (CONFIG, *COLLECTORS, ambient("shop"), listening("shop/cart", 80), edge)
    assert flows(RULE, telemetry("otel"), *others) == ["shop/edge -> observe/otel TCP 14317"]
    assert flows(RULE, config(default_tracing_providers=("otel",)), *others[1:]) == [
        "shop/edge -> observe/otel TCP 14317"
    ]


def test_targeted_gateway_traces() -> None:
    """targetRefs choose the pods of a Gateway, and no others."""
    subject = telemetry("otel", target_refs=(TargetRef("gateway.networking.k8s.io", "Gateway", "gw"),))
    found = flows(RULE, subject, CONFIG, *COLLECTORS, *SHOP, gateway_api_gateway("shop/gw"))
    assert found == ["shop/gw-istio -> observe/otel TCP 14317"]


def test_unknown_provider_is_told() -> None:
    """A name that the mesh config lacks is one finding."""
    assert findings(RULE, telemetry("gone"), CONFIG, *SHOP) == [
        "unknown-destination warning: Telemetry shop/default: tracing: the mesh config has no extension "
        "provider gone "
        "that opens connections; add it, or correct the name"
    ]


def test_provider_without_pods_is_told() -> None:
    """A provider whose Service has no pods can't be opened."""
    assert findings(RULE, telemetry("otel"), CONFIG, *SHOP) == [
        "unknown-destination warning: Telemetry shop/default: tracing: nothing answers for provider otel at "
        "otel.observe.svc.cluster.local port 4317"
    ]


def test_address_that_can_not_be_named_is_told() -> None:
    """An address of the node, or one without a port, is no destination for a policy."""
    node = config(tracing_address="$(HOST_IP):8126", enable_tracing=True)
    assert findings(RULE, node, *SHOP) == [
        "unknown-destination warning: ConfigMap istio-system/istio: tracing: the tracing address "
        "$(HOST_IP):8126 of "
        "the mesh config is another one on every node, so no policy can name it"
    ]
    bare = config(tracing_address="jaeger.observe", enable_tracing=True)
    assert findings(RULE, bare, *COLLECTORS, *SHOP) == [
        "unknown-destination warning: ConfigMap istio-system/istio: tracing: nothing answers at the tracing "
        "address "
        "jaeger.observe of the mesh config"
    ]


OWN = replace(listening("shop/cart", 80), tracing_address="jaeger.observe:9411")
TO_OWN = ["shop/cart -> observe/jaeger TCP 19411"]
HALF_SHOP = (injected("shop"), *COLLECTORS)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), TO_OWN),
        ((config(enable_tracing=True),), TO_OWN),
        ((config(enable_tracing=True, tracing_address="otel.observe:4317"),), TO_OWN),
        ((config(), telemetry()), TO_OWN),
        # Nobody sends spans, or a provider goes before.
        ((config(),), []),
        ((config(enable_tracing=True), telemetry(disables_tracing=True)), []),
        ((config(), telemetry("otel")), []),
        ((config(default_tracing_providers=("otel",)),), []),
    ],
)
def test_pods_may_name_a_collector_of_their_own(others: tuple[Any, ...], expected: list[str]) -> None:
    """By the tracing address in `proxy.istio.io/config`, which takes the place of the mesh config's."""
    assert flows(RULE, OWN, *HALF_SHOP, *others) == expected
    for subject in others:
        rest = [other for other in others if other is not subject]
        assert "shop/cart -> observe/jaeger TCP 19411" not in flows(RULE, subject, OWN, *HALF_SHOP, *rest)


def test_a_collector_of_ones_own_has_to_agree() -> None:
    """An annotation is a tenant's word, and opens no other namespace."""
    found = first_flow(RULE, OWN, *HALF_SHOP)
    assert (found.object, found.agreement.egress, found.agreement.ingress) == (OWN.ref, {"shop"}, None)


def test_an_annotation_without_a_proxy_sends_nothing() -> None:
    """Nobody would read it."""
    assert flows(RULE, OWN, *COLLECTORS) == []


def test_a_collector_that_is_not_there_is_told_of_the_pods() -> None:
    """Whatever they name."""
    lost = replace(OWN, tracing_address="jaeger")
    assert findings(RULE, lost, *HALF_SHOP) == [
        "unknown-destination warning: Deployment shop/cart: metadata.annotations[proxy.istio.io/config]: "
        "nothing answers at the tracing address jaeger; correct it"
    ]
