"""ListenerSets: the listeners that a namespace adds to a Gateway, of another one if that agrees."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import (
    findings,
    first_flow,
    flows,
    gateway_api_gateway,
    listening,
    outcomes,
    ref,
    service,
)
from tests.values import namespace

from istio_netpol.istio.rules import kubernetes_routes
from istio_netpol.istio.rules.listener_set import RULE
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.gateway_api import BackendRef, KubernetesRoute, Listener, ListenerSet, ParentRef
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction

EDGE = gateway_api_gateway("infra/edge", sets_from="All")
TO_EDGE = ParentRef("Gateway", "edge", "infra")
CART = (listening("shop/cart", 8080), service("shop/cart", (80, 8080)))
GROUPS = {"ListenerSet": "gateway.networking.k8s.io", "XListenerSet": "gateway.networking.x-k8s.io"}


def added(*listeners: Listener, kind: str = "ListenerSet", parent: ParentRef = TO_EDGE) -> ListenerSet:
    return ListenerSet(ref(kind, "shop/more"), parent, listeners or (Listener("web", 8090, "HTTP"),))


def route(key: str = "shop/cart", kind: str = "ListenerSet", **parent: Any) -> KubernetesRoute:
    parents = (ParentRef(kind, "more", "shop", group=GROUPS[kind], **parent),)
    backends = (BackendRef("cart", port=80),)
    return KubernetesRoute(ref("HTTPRoute", key), parents, backends, hostnames=("cart.example.com",))


@pytest.mark.parametrize("kind", ["ListenerSet", "XListenerSet"])
def test_clients_reach_the_ports_that_it_adds(kind: str) -> None:
    """Those of the Gateway itself are the Gateway's own need."""
    more = added(Listener("a", 8090, "HTTP"), Listener("b", 9443, "TLS"), Listener("c", 53, "UDP"), kind=kind)
    assert flows(RULE, more, EDGE) == ["any -> infra/edge-istio TCP 8090", "any -> infra/edge-istio TCP 9443"]


@pytest.mark.parametrize("kind", ["ListenerSet", "XListenerSet"])
def test_a_route_attaches_to_it(kind: str) -> None:
    """The Gateway's pods serve it, whatever the Gateway's own listeners admit."""
    edge = replace(EDGE, listeners=())
    found = flows(kubernetes_routes.RULE, route(kind=kind), added(kind=kind), edge, *CART)
    assert found == ["infra/edge-istio -> shop/cart TCP 8080"]


@pytest.mark.parametrize(
    ("allowed", "admitted"),
    [
        ({"sets_from": "All"}, True),
        ({"sets_from": "Same"}, False),
        ({"sets_from": "None"}, False),
        ({"sets_from": "Selector", "set_namespaces": Selector.of({"team": "shop"})}, True),
        ({"sets_from": "Selector", "set_namespaces": Selector.of({"team": "bank"})}, False),
        ({"sets_from": "Selector"}, False),
    ],
)
def test_the_gateway_says_whose_listeners_it_takes(allowed: dict[str, Any], admitted: bool) -> None:
    """Without `allowedListeners` those of nobody."""
    edge, shop = replace(EDGE, **allowed), namespace("shop", team="shop")
    assert bool(flows(RULE, added(), edge, shop)) is admitted
    assert bool(flows(kubernetes_routes.RULE, route(), added(), edge, shop, *CART)) is admitted
    said = findings(RULE, added(), edge, shop)
    expected = (
        "consent-missing warning: ListenerSet shop/more: spec.parentRef: Gateway infra/edge admits no "
        "ListenerSets of namespace shop; allow them in its allowedListeners.namespaces"
    )
    assert said == ([] if admitted else [expected])


def test_a_gateway_of_its_own_namespace_takes_it_under_same() -> None:
    """`Same` is the Gateway's namespace."""
    own = gateway_api_gateway("shop/edge", sets_from="Same")
    assert flows(RULE, added(parent=ParentRef("Gateway", "edge")), own) == ["any -> shop/edge-istio TCP 8090"]


@pytest.mark.parametrize(
    ("key", "listener", "parent", "served"),
    [
        ("shop/cart", {}, {}, True),
        ("shop/cart", {}, {"section_name": "web"}, True),
        ("shop/cart", {}, {"section_name": "other"}, False),
        ("shop/cart", {}, {"port": 80}, False),
        ("shop/cart", {"hostname": "bank.example.com"}, {}, False),
        ("shop/cart", {"routes_from": "None"}, {}, False),
        ("infra/cart", {}, {}, False),
        ("infra/cart", {"routes_from": "All"}, {}, True),
    ],
)
def test_its_listeners_admit_routes_as_a_gateways_do(
    key: str, listener: dict[str, Any], parent: dict[str, Any], served: bool
) -> None:
    """`Same` is the ListenerSet's namespace, not the Gateway's; sectionName and port are those of the set."""
    more = added(replace(Listener("web", 8090, "HTTP"), **listener))
    home = key.partition("/")[0]
    objects = (listening(f"{home}/cart", 8080), service(f"{home}/cart", (80, 8080)))
    assert bool(flows(kubernetes_routes.RULE, route(key, **parent), more, EDGE, *objects)) is served


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        (ParentRef("Gateway", "gone", "infra"), "there is no Gateway infra/gone; create it, or correct"),
        (ParentRef("Service", "edge", "infra", group=""), "Service infra/edge takes no listeners"),
        (
            ParentRef("Gateway", "way", "infra"),
            "Gateway infra/way is of class istio-waypoint, which",
        ),
    ],
)
def test_a_set_without_a_gateway_is_named(parent: ParentRef, said: str) -> None:
    """And so is the route that goes by it."""
    way = gateway_api_gateway("infra/way", class_name="istio-waypoint", sets_from="All")
    more = added(parent=parent)
    (told,) = findings(RULE, more, way)
    assert f"ListenerSet shop/more: spec.parentRef: {said}" in told
    (of_route,) = findings(kubernetes_routes.RULE, route(), more, way, *CART)
    assert "no Gateway takes the listeners of ListenerSet shop/more" in of_route


def test_a_route_of_a_missing_set_is_named() -> None:
    """GitOps applies in any order."""
    assert findings(kubernetes_routes.RULE, route(), *CART) == [
        "unknown-destination warning: HTTPRoute shop/cart: spec.parentRefs[0]: there is no ListenerSet "
        "shop/more; create it, or correct the reference"
    ]


def test_the_proxys_own_ports_stay_closed() -> None:
    """Whoever may add listeners may not open the proxy's health and metrics ports."""
    (found,) = outcomes(RULE, added(Listener("admin", 15000, "TCP")), EDGE)
    assert isinstance(found, Finding)


def test_the_gateways_namespace_agrees_by_what_it_allows() -> None:
    """Its word opens its pods, not that of whoever writes the ListenerSet."""
    ingress = first_flow(RULE, added(), EDGE).agreement.of(Direction.INGRESS)
    assert ingress == frozenset({"infra"})
    served = first_flow(kubernetes_routes.RULE, route(), added(), EDGE, *CART)
    assert served.agreement.egress == frozenset({"infra"})
    assert served.agreement.ingress == frozenset({"shop"})
    assert isinstance(served, RequiredFlow)
