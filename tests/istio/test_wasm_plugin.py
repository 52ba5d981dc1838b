"""The agents beside proxies fetch the modules of WasmPlugins."""

from __future__ import annotations

from typing import Any

import pytest
from tests.istio.outcomes import findings, first_flow, flows, injected, listening, service
from tests.values import deployment

from istio_netpol.istio.rules.wasm_plugin import RULE
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.istio_security import WasmPlugin

SHOP = (injected("shop"), listening("shop/cart", 80))


def plugin(url: str, namespace: str = "shop", **spec: Any) -> WasmPlugin:
    """As it is written."""
    content = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "module", "namespace": namespace},
        "spec": {"url": url, **spec},
    }
    (found,), problems = decode(RawObject(content, "plugin.yaml", 1))
    assert problems == []
    assert isinstance(found, WasmPlugin)
    return found


HUB = ["auth.docker.io TCP 443", "index.docker.io TCP 443"]


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("oci://ghcr.io/team/module:1", ["ghcr.io TCP 443"]),
        ("ghcr.io/team/module@sha256:abc", ["ghcr.io TCP 443"]),
        ("OCI://registry.example.com:5000/module", ["registry.example.com TCP 5000"]),
        ("oci://registry:5000/module", ["registry TCP 5000"]),
        ("oci://docker.io/team/module", HUB),
        ("oci://index.docker.io/team/module", HUB),
        ("oci://team/module:v2", HUB),
        ("module", HUB),
        ("https://example.com/module.wasm", ["example.com TCP 443"]),
        ("http://example.com/module.wasm", ["example.com TCP 80"]),
        ("https://example.com:8443/module.wasm?x=1", ["example.com TCP 8443"]),
        ("oci://[2001:db8::1]:5000/module", ["2001:db8::1/128 TCP 5000"]),
        ("oci://203.0.113.7:5000/module", ["203.0.113.7/32 TCP 5000"]),
        ("file:///etc/module.wasm", []),
    ],
)
def test_the_url_says_where_the_module_is(url: str, places: list[str]) -> None:
    """An image where it has no scheme, Docker Hub's without a registry, nowhere where it is a file."""
    subject = plugin(url)
    assert flows(RULE, subject, *SHOP) == [f"shop/cart -> {place}" for place in places]
    assert findings(RULE, subject, *SHOP) == []


@pytest.mark.parametrize(
    "url", ["ftp://example.com/a.wasm", "https://", "https://example.com:port/a", "oci://[::1/a", ""]
)
def test_a_url_that_leads_nowhere_is_told(url: str) -> None:
    """Nobody could fetch it, and nothing is opened."""
    assert flows(RULE, plugin(url), *SHOP) == []
    written = url or "an empty URL"
    assert findings(RULE, plugin(url), *SHOP) == [
        f"unknown-destination warning: WasmPlugin shop/module: spec.url: {written} does not name a host "
        "that a module could be fetched from; use an image, or a URL with oci, https, http or file"
    ]


def test_a_server_in_the_cluster_has_its_pods_port() -> None:
    """The agent dials the Service as any process would."""
    inside = (service("ops/modules", (8080, 80)), deployment("ops/modules"))
    subject = plugin("http://modules.ops.svc.cluster.local:8080/a.wasm")
    assert flows(RULE, subject, *SHOP, *inside) == ["shop/cart -> ops/modules TCP 80"]
    assert first_flow(RULE, subject, *SHOP, *inside).agreement.ingress is None
    assert findings(RULE, subject, *SHOP) == [
        "unknown-destination warning: WasmPlugin shop/module: spec.url: nothing answers at "
        "modules.ops.svc.cluster.local port 8080; add the Service, or correct the URL"
    ]


def test_a_plugin_extends_what_it_selects() -> None:
    """Of its namespace, or from the root namespace of the mesh; never pods without a proxy."""
    others = (injected("other"), listening("other/api", 80), listening("plain/app", 80))
    url = "oci://ghcr.io/team/module:1"
    assert flows(RULE, plugin(url, selector={"matchLabels": {"app": "none"}}), *SHOP, *others) == []
    assert flows(RULE, plugin(url, namespace="other"), *SHOP, *others) == ["other/api -> ghcr.io TCP 443"]
    assert flows(RULE, plugin(url, namespace="istio-system"), *SHOP, *others) == [
        "other/api -> ghcr.io TCP 443",
        "shop/cart -> ghcr.io TCP 443",
    ]


@pytest.mark.parametrize(
    ("fail", "is_open"), [("FAIL_OPEN", True), (1, True), ("FAIL_CLOSE", False), (None, False)]
)
def test_a_plugin_that_fails_open_is_dispensable(fail: object, is_open: bool) -> None:
    """Requests pass without it."""
    subject = plugin("oci://ghcr.io/team/module:1", failStrategy=fail)
    assert first_flow(RULE, subject, *SHOP).dispensable is is_open
