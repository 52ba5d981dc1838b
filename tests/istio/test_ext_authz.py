"""AuthorizationPolicy CUSTOM: from the enforcing proxies to the extension provider."""

from __future__ import annotations

from typing import Any

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
    waypoint,
)

from istio_netpol.istio.rules.ext_authz import RULE
from istio_netpol.model.control_plane import ExtensionProvider
from istio_netpol.model.istio_networking import ServiceEntry, ServiceEntryPort
from istio_netpol.model.istio_security import AuthorizationPolicy
from istio_netpol.model.references import TargetRef

PROVIDER = ExtensionProvider("opa", "envoyExtAuthzGrpc", "opa.authz.svc.cluster.local", 9191)
OPA = (mesh_config(PROVIDER), service("authz/opa", (9191, 9000)), listening("authz/opa", 9000))
SHOP = (injected("shop"), listening("shop/cart", 80), listening("shop/web", 80))
FIELD = "spec.provider.name"


def policy(key: str = "shop/custom", **fields: Any) -> AuthorizationPolicy:
    return AuthorizationPolicy(
        ref("AuthorizationPolicy", key), **{"action": "CUSTOM", "provider": "opa", **fields}
    )


def test_selected_sidecars_call_the_provider() -> None:
    """The proxies of the selected pods connect to the provider's pods on their own port."""
    assert flows(RULE, policy(selector={"app": "cart"}), *OPA, *SHOP) == ["shop/cart -> authz/opa TCP 9000"]


def test_without_selector_the_namespace_calls() -> None:
    """No selector selects every sidecar of the namespace."""
    assert flows(RULE, policy(), *OPA, *SHOP) == [
        "shop/cart -> authz/opa TCP 9000",
        "shop/web -> authz/opa TCP 9000",
    ]


def test_root_namespace_means_the_mesh() -> None:
    """A policy of the root namespace makes every proxy a client, and the provider a shared destination."""
    subject = policy("istio-system/custom")
    assert flows(RULE, subject, *OPA, *SHOP) == [
        "shop/cart -> authz/opa TCP 9000",
        "shop/web -> authz/opa TCP 9000",
    ]
    assert first_flow(RULE, subject, *OPA, *SHOP).shared


def test_selector_in_the_root_namespace_selects_anywhere() -> None:
    """A selector there selects pods of all namespaces, which shares nothing."""
    subject = policy("istio-system/custom", selector={"app": "cart"})
    assert flows(RULE, subject, *OPA, *SHOP) == ["shop/cart -> authz/opa TCP 9000"]
    assert not first_flow(RULE, subject, *OPA, *SHOP).shared


def test_flow_says_why_and_where() -> None:
    """The flow carries the path of the provider and a reason."""
    flow = first_flow(RULE, policy(), *OPA, *SHOP)
    assert flow.field == FIELD
    assert (
        flow.reason == "AuthorizationPolicy shop/custom lets extension provider opa decide on every request"
    )


def test_service_of_a_provider_may_name_its_namespace() -> None:
    """`namespace/host` resolves the host there."""
    provider = ExtensionProvider("opa", "envoyExtAuthzHttp", "authz/opa", 9191)
    found = flows(
        RULE, policy(), mesh_config(provider), *OPA[1:], injected("shop"), listening("shop/cart", 80)
    )
    assert found == ["shop/cart -> authz/opa TCP 9000"]


def test_provider_may_be_a_service_entry() -> None:
    """A host of a ServiceEntry is outside the cluster."""
    provider = ExtensionProvider("opa", "envoyExtAuthzGrpc", "opa.example.com", 443)
    entry = ServiceEntry(
        ref("ServiceEntry", "istio-system/opa"),
        ("opa.example.com",),
        ports=(ServiceEntryPort(443),),
        resolution="DNS",
    )
    found = flows(RULE, policy(), mesh_config(provider), entry, injected("shop"), listening("shop/cart", 80))
    assert found == ["shop/cart -> opa.example.com TCP 443"]


def test_unknown_provider_is_told_once() -> None:
    """A name that the mesh config lacks is one finding, however many proxies look for it."""
    assert findings(RULE, policy(provider="gone"), *OPA, *SHOP) == [
        f"unknown-destination warning: AuthorizationPolicy shop/custom: {FIELD}: the mesh config has no "
        "extension "
        "provider gone that opens connections; add it, or correct the name"
    ]


def test_a_provider_that_cannot_be_read_is_told_of_the_mesh_config_alone() -> None:
    """Whoever mends it mends every policy that names it."""
    config = mesh_config(unread_providers=("gone",))
    assert findings(RULE, policy(provider="gone"), config, *OPA[1:], *SHOP) == []


def test_absent_mesh_config_is_told() -> None:
    """Without the mesh config nobody knows the provider."""
    assert findings(RULE, policy(), *SHOP) == [
        f"unknown-destination warning: AuthorizationPolicy shop/custom: {FIELD}: the input holds no mesh "
        "config "
        "(ConfigMap istio), so nobody can tell where extension provider opa is; add it"
    ]


def test_provider_without_pods_is_told() -> None:
    """A provider whose Service has no pods can't be opened."""
    assert findings(RULE, policy(), *OPA[:2], *SHOP) == [
        f"unknown-destination warning: AuthorizationPolicy shop/custom: {FIELD}: nothing answers for "
        "provider opa at "
        "opa.authz.svc.cluster.local port 9191"
    ]


def test_other_actions_have_no_provider() -> None:
    """ALLOW, DENY and AUDIT are decided in the proxy."""
    assert flows(RULE, policy(action="ALLOW"), *OPA, *SHOP) == []


def test_ambient_pods_have_no_proxy_to_ask() -> None:
    """ztunnel knows no CUSTOM action."""
    assert flows(RULE, policy(), *OPA, ambient("shop"), listening("shop/cart", 80)) == []


def test_waypoint_asks_for_the_service_that_is_targeted() -> None:
    """targetRefs to a Service are carried out by its waypoint."""
    subject = policy(target_refs=(TargetRef("", "Service", "cart"),))
    cart = service("shop/cart", 80, labels={"istio.io/use-waypoint": "way"})
    found = flows(
        RULE, subject, *OPA, ambient("shop"), cart, listening("shop/cart", 80), waypoint("shop/way")
    )
    assert found == ["shop/way -> authz/opa TCP 9000"]


def test_gateway_that_is_targeted_asks() -> None:
    """targetRefs to a Gateway select its pods."""
    subject = policy(target_refs=(TargetRef("gateway.networking.k8s.io", "Gateway", "gw"),))
    assert flows(RULE, subject, *OPA, gateway_api_gateway("shop/gw")) == [
        "shop/gw-istio -> authz/opa TCP 9000"
    ]


def test_targets_that_are_missing_or_of_other_kinds_select_nothing() -> None:
    """Neither a missing Gateway or Service nor a ServiceEntry has pods."""
    refs = (
        TargetRef("gateway.networking.k8s.io", "Gateway", "gone"),
        TargetRef("", "Service", "gone"),
        TargetRef("networking.istio.io", "ServiceEntry", "api"),
    )
    assert flows(RULE, policy(target_refs=refs), *OPA, *SHOP) == []
