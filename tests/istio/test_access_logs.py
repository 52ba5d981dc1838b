"""Telemetry and mesh config: from proxies to the collectors of their access logs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.istio.outcomes import findings, first_flow, flows, injected, listening, mesh_config, ref, service

from istio_netpol.istio.rules.access_logs import RULE
from istio_netpol.model.control_plane import ExtensionProvider
from istio_netpol.model.istio_security import Telemetry

OTEL = ExtensionProvider("otel", "envoyOtelAls", "otel.observe.svc.cluster.local", 4317)
ALS = ExtensionProvider("als", "envoyHttpAls", "als.observe.svc.cluster.local", 9001)
SPANS = ExtensionProvider("spans", "opentelemetry", "otel.observe.svc.cluster.local", 4317)
COLLECTORS = (
    service("observe/otel", (4317, 14317)),
    listening("observe/otel", 14317),
    service("observe/als", (9001, 19001)),
    listening("observe/als", 19001),
)
SHOP = (injected("shop"), listening("shop/cart", 80), listening("plain/cart", 80))
TO_OTEL, TO_ALS = "shop/cart -> observe/otel TCP 14317", "shop/cart -> observe/als TCP 19001"
CONFIG = mesh_config(OTEL, ALS, SPANS, default_log_providers=("otel",))


def telemetry(*providers: str, key: str = "shop/default", **fields: Any) -> Telemetry:
    return Telemetry(ref("Telemetry", key), **{"log_providers": providers, "has_access_logs": True, **fields})


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        (("otel",), [TO_OTEL]),
        (("otel", "als"), [TO_ALS, TO_OTEL]),
        ((), [TO_OTEL]),
        # Written to a file, or another kind of provider.
        (("envoy",), []),
        (("spans",), []),
    ],
)
def test_proxies_send_to_every_provider(providers: tuple[str, ...], expected: list[str]) -> None:
    """All that are named get the logs, else the mesh config's default."""
    assert flows(RULE, telemetry(*providers), CONFIG, *COLLECTORS, *SHOP) == expected


def test_default_providers_count_without_a_telemetry() -> None:
    """Then the mesh config asks, for proxies that no Telemetry concerns."""
    assert flows(RULE, CONFIG, *COLLECTORS, *SHOP) == [TO_OTEL]
    assert flows(RULE, CONFIG, telemetry("als"), *COLLECTORS, *SHOP) == []
    assert flows(RULE, mesh_config(OTEL), *COLLECTORS, *SHOP) == []


def test_most_specific_telemetry_decides() -> None:
    """The namespace's object beats that of the root namespace, and may switch the logs off."""
    root = telemetry("otel", key="istio-system/default")
    assert flows(RULE, root, CONFIG, *COLLECTORS, *SHOP) == [TO_OTEL]
    off = telemetry(disables_access_logs=True)
    assert flows(RULE, root, off, CONFIG, *COLLECTORS, *SHOP) == []
    assert flows(RULE, off, root, CONFIG, *COLLECTORS, *SHOP) == []


def test_tracing_alone_says_nothing_of_logs() -> None:
    """A Telemetry without an access logging section leaves the decision to others."""
    assert flows(RULE, telemetry(has_access_logs=False), CONFIG, *COLLECTORS, *SHOP) == []


def test_flow_says_why() -> None:
    """The reason completes a sentence."""
    flow = first_flow(RULE, telemetry("otel"), CONFIG, *COLLECTORS, *SHOP)
    assert flow.reason == "Telemetry shop/default has proxies send their access logs there"


def test_collector_that_nothing_answers_for_is_told() -> None:
    """Once, however many proxies there are."""
    assert findings(RULE, telemetry("otel"), CONFIG, *SHOP, listening("shop/web", 80)) == [
        "unknown-destination warning: Telemetry shop/default: accessLogging: nothing answers for provider "
        "otel at otel.observe.svc.cluster.local port 4317"
    ]
