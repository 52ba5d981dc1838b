"""What host names mean: Services, ServiceEntries and subsets."""

from __future__ import annotations

import pytest
from tests.istio.builders import destination_rule, service, service_entry, view

from istio_netpol.istio.view.service_registry import SERVICE_ENTRY_HOSTS
from istio_netpol.model.services import Service
from istio_netpol.model.settings import MeshSettings, Settings
from istio_netpol.state.reads import Read, indexed_read, object_read

CART = service("shop/cart", 80)


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("cart", "shop"),
        ("cart.shop", "other"),
        ("cart.shop.svc", "other"),
        ("cart.shop.svc.cluster.local", "other"),
        ("cart.shop.svc.cluster.local.", "other"),
        ("Cart.Shop.svc.cluster.local", "other"),
    ],
)
def test_service_has_many_names(host: str, namespace: str) -> None:
    """All forms that the search path of DNS knows."""
    assert view(CART).resolve_host(host, namespace) is CART


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("cart", "other"),
        ("cart.svc", "shop"),
        ("cart.svc.cluster.local", "shop"),
        ("pod.cart.shop.svc.cluster.local", "shop"),
        ("cart.shop.svc.corp.example", "shop"),
        ("*.shop.svc.cluster.local", "shop"),
        ("*", "shop"),
        ("", "shop"),
    ],
)
def test_other_names_are_no_service(host: str, namespace: str) -> None:
    """A Service's host has a name, a namespace and the cluster's suffix."""
    assert view(CART).resolve_host(host, namespace) is None


def test_cluster_domain_is_a_setting() -> None:
    """Clusters may have a suffix of their own."""
    mesh = view(CART, settings=Settings(mesh=MeshSettings(cluster_domain="corp.example")))
    assert mesh.resolve_host("cart.shop.svc.corp.example", "other") is CART
    assert mesh.resolve_host("cart.shop.svc.cluster.local", "other") is None


def test_service_goes_before_an_entry_of_the_same_host() -> None:
    """istiod's registry of Kubernetes comes first."""
    entry = service_entry("shop/cart", "cart.shop.svc.cluster.local")
    assert view(CART, entry).resolve_host("cart", "shop") is CART


def test_entry_may_have_a_short_host() -> None:
    """A name without a dot is of the namespace, also where only a ServiceEntry has it."""
    entry = service_entry("shop/legacy", "legacy.shop.svc.cluster.local")
    assert view(entry).resolve_host("legacy", "shop") is entry


def test_exact_host_goes_before_wildcards() -> None:
    """The most specific pattern counts."""
    exact = service_entry("shop/exact", "api.eu.example.com")
    near = service_entry("shop/near", "*.eu.example.com")
    far = service_entry("shop/far", "*.example.com")
    mesh = view(far, near, exact)
    assert mesh.resolve_host("api.eu.example.com", "shop") is exact
    assert mesh.resolve_host("www.eu.example.com", "shop") is near
    assert mesh.resolve_host("www.example.com", "shop") is far
    assert mesh.resolve_host("example.com", "shop") is None


def test_wildcard_host_finds_its_own_entry() -> None:
    """A wildcard is a host like any other where it is asked for literally."""
    entry = service_entry("shop/wild", "*.example.com")
    assert view(entry).resolve_host("*.example.com", "shop") is entry
    assert view(entry).resolve_host("*.eu.example.com", "shop") is entry


def test_own_entry_goes_before_those_of_others() -> None:
    """Then the first namespace and name in alphabetical order."""
    own, first, second = (service_entry(key, "api.example.com") for key in ("shop/z", "alpha/b", "alpha/a"))
    assert view(first, second, own).resolve_host("api.example.com", "shop") is own
    mesh = view(first, second, own)
    assert mesh.resolve_host("api.example.com", "web", authors=("alpha", "shop")) is second


@pytest.mark.parametrize(
    ("export_to", "namespace", "seen"),
    [
        ((), "web", True),
        (("*",), "web", True),
        ((".",), "web", False),
        ((".",), "shop", True),
        (("web",), "web", True),
        (("other",), "web", False),
        (("~",), "shop", False),
    ],
)
def test_entries_are_seen_where_they_are_exported(
    export_to: tuple[str, ...], namespace: str, seen: bool
) -> None:
    """exportTo names namespaces, `.` for the own one, `*` for all."""
    entry = service_entry("shop/api", "api.example.com", export_to=export_to)
    found = view(entry).resolve_host("api.example.com", namespace, authors=("shop",))
    assert (found is entry) is seen


def test_entries_of_other_tenants_are_not_heeded() -> None:
    """Proxies follow them; who calls the host has not asked for that. Administrators' are heeded."""
    entry = service_entry("shop/api", "api.example.com")
    assert view(entry).resolve_host("api.example.com", "web") is None
    assert view(entry).unheeded_entry("api.example.com", "web") is entry
    central = service_entry("istio-system/api", "api.example.com")
    assert view(entry, central).resolve_host("api.example.com", "web") is central
    assert view(entry).unheeded_entry("api.example.com", "shop") is None


def test_lookup_is_noted() -> None:
    """A Service that is not there is noted, and every pattern under which an entry was looked for."""
    entry = service_entry("shop/api", "*.example.com")
    mesh = view(entry)
    asked = Read("question", "Hosts._entry", "", ("api.example.com", "shop", ()))
    _, reads = mesh.noting(lambda: mesh.resolve_host("api.example.com", "shop"))
    assert reads == {asked}
    assert mesh.reader.answer(asked).reads >= {
        indexed_read(SERVICE_ENTRY_HOSTS, host) for host in ("api.example.com", "*.example.com")
    }
    _, reads = mesh.noting(lambda: mesh.resolve_host("cart.example", "shop"))
    assert object_read(Service, "example", "Service", "cart") in reads


V1, V2 = {"version": "v1"}, {"version": "v2"}


def test_subset_is_defined_for_the_host_in_any_form() -> None:
    """A DestinationRule's host resolves in its own namespace."""
    for host in ("cart", "cart.shop.svc.cluster.local"):
        mesh = view(CART, destination_rule("shop/cart", host, v1=V1))
        assert mesh.subset_labels("cart.shop.svc.cluster.local", "v1", "web") == V1


def test_nearest_rule_defines_the_subset() -> None:
    """The client's namespace, then the Service's, then the root namespace."""
    full = "cart.shop.svc.cluster.local"
    rules = [
        destination_rule("web/cart", full, v=V1),
        destination_rule("shop/cart", "cart", v=V2),
        destination_rule("istio-system/cart", full, v={"version": "root"}),
    ]
    assert view(*rules).subset_labels(full, "v", "web") == V1
    assert view(*rules[1:]).subset_labels(full, "v", "web") == V2
    assert view(rules[2]).subset_labels(full, "v", "web") == {"version": "root"}
    assert view(rules[0]).subset_labels(full, "v", "other") is None


def test_wildcard_rule_defines_subsets() -> None:
    """A rule may hold for every Service of a namespace."""
    mesh = view(destination_rule("shop/all", "*.shop.svc.cluster.local", v1=V1))
    assert mesh.subset_labels("cart", "v1", "shop") == V1
    assert mesh.subset_labels("cart", "v2", "shop") is None


def test_subset_of_an_external_host() -> None:
    """ServiceEntries have DestinationRules too."""
    mesh = view(destination_rule("web/api", "api.example.com", v1=V1))
    assert mesh.subset_labels("api.example.com", "v1", "web") == V1
