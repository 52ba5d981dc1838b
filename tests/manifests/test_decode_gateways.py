"""What is read of a Gateway API Gateway and its routes."""

from __future__ import annotations

from typing import Any

from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.gateway_api import KubernetesGateway, KubernetesRoute, Listener
from istio_netpol.model.labels import Selector

API = "gateway.networking.k8s.io/v1"


def read(kind: str, spec: dict[str, Any]) -> Any:
    """The one model value of an object."""
    content = {
        "apiVersion": API,
        "kind": kind,
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": spec,
    }
    (value,), problems = decode(RawObject(content, "web.yaml", 1))
    assert problems == []
    return value


def listener(**fields: Any) -> Listener:
    gateway = read("Gateway", {"listeners": [{"name": "web", "port": 80, "protocol": "HTTP", **fields}]})
    assert isinstance(gateway, KubernetesGateway)
    (found,) = gateway.listeners
    return found


def test_listener_admits_its_own_namespace_unless_it_says_more() -> None:
    """The API server's default is Same."""
    assert listener() == Listener("web", 80, "HTTP", "", "Same", None, ())


def test_listener_says_which_routes_it_admits() -> None:
    """Namespaces by selector, and kinds."""
    found = listener(
        hostname="*.example.com",
        allowedRoutes={
            "namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "shop"}}},
            "kinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
        },
    )
    chosen = Selector.of({"team": "shop"})
    assert found == Listener("web", 80, "HTTP", "*.example.com", "Selector", chosen, ("HTTPRoute",))


def test_route_has_its_hostnames() -> None:
    """They decide which listeners serve it."""
    route = read("HTTPRoute", {"hostnames": ["cart.example.com"]})
    assert isinstance(route, KubernetesRoute)
    assert route.hostnames == ("cart.example.com",)


def test_gateway_may_label_its_pods() -> None:
    """An empty mapping is another wish than none."""
    assert read("Gateway", {"infrastructure": {"labels": {"tier": "front"}}}).pod_labels == {"tier": "front"}
    assert read("Gateway", {"infrastructure": {}}).pod_labels is None
