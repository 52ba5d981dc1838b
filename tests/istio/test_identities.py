"""Principals, namespaces and service accounts as Istio compares them."""

from __future__ import annotations

import pytest
from tests.istio.outcomes import mesh_config
from tests.values import deployment

from istio_netpol.istio.authorized_clients import trust_domains
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.identities import (
    has_two_wildcards,
    named_namespace,
    pattern_matches,
    principal_matches,
    service_account_matches,
)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("shop", "shop", True),
        ("shop", "shops", False),
        ("shop-*", "shop-eu", True),
        ("shop-*", "eu-shop-", False),
        ("*-eu", "shop-eu", True),
        ("*-eu", "shop-us", False),
        ("*", "anything", True),
        ("*", "", False),
        ("*shop*", "my-shop-eu", False),
    ],
)
def test_pattern_has_one_wildcard(pattern: str, value: str, expected: bool) -> None:
    """A wildcard counts at one end only; `*` alone wants any value."""
    assert pattern_matches(pattern, value) is expected


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("my.domain/ns/shop/sa/cart", True),
        ("old.domain/ns/shop/sa/cart", True),
        ("cluster.local/ns/shop/sa/cart", True),
        ("foreign.domain/ns/shop/sa/cart", False),
        ("*/ns/shop/sa/cart", True),
        ("*domain/ns/shop/sa/cart", True),
        ("my.domain/ns/shop/sa/*", True),
        ("my.domain/ns/shop/sa/other", False),
        ("my.domain/ns/shop/*", True),
        ("cluster.local/ns/shop/*", False),
        ("*/sa/cart", True),
        ("*", True),
        ("*/ns/shop/sa/*", False),
    ],
)
def test_principal_means_a_service_account(principal: str, expected: bool) -> None:
    """Trust domain, alias and `cluster.local` are the same in a complete principal, and in no other."""
    domains = ("my.domain", "old.domain")
    assert principal_matches(principal, domains, "shop", "cart") is expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [("shop/cart", True), ("cart", True), ("other/cart", False), ("shop/other", False), ("shop/*", False)],
)
def test_service_account_is_of_the_own_namespace_unless_named(entry: str, expected: bool) -> None:
    """`name` alone is a service account of the policy's namespace; wildcards are not known."""
    assert service_account_matches(entry, "shop", "shop", "cart") is expected


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("cluster.local/ns/shop/sa/cart", "shop"),
        ("*/ns/shop/sa/cart", "shop"),
        ("cluster.local/ns/shop/*", None),
        ("cluster.local/ns/*/sa/cart", None),
        ("a/b/c/d/e", None),
        ("*", None),
    ],
)
def test_complete_principal_names_a_namespace(principal: str, expected: str | None) -> None:
    """Only the complete form says in which namespace its pods run."""
    assert named_namespace(principal) == expected


def test_two_wildcards_are_recognised() -> None:
    """A value with a wildcard at both ends is a mistake; `*` alone is none."""
    assert [has_two_wildcards(pattern) for pattern in ("*/ns/shop/sa/*", "*", "a*", "*a")] == [
        True,
        False,
        False,
        False,
    ]


def test_trust_domains_come_from_mesh_config() -> None:
    """The control plane's own trust domain comes first, then its aliases."""
    config = mesh_config(trust_domain="new", trust_domain_aliases=("old",))
    cart = deployment("shop/cart")
    assert trust_domains(MeshView(Snapshot.of([config, cart]), Settings()), cart) == ("new", "old")


def test_trust_domain_without_mesh_config_is_the_default() -> None:
    """Where the input holds no mesh config, the trust domain is Istio's default."""
    cart = deployment("shop/cart")
    assert trust_domains(MeshView(Snapshot.of([cart]), Settings()), cart) == ("cluster.local",)
