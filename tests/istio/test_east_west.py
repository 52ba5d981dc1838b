"""East-west gateways reach the pods that they expose to other networks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import first_flow, flows, injected, listening, service
from tests.values import deployment, namespace

from istio_netpol.istio.rules.east_west import RULE
from istio_netpol.model.istio_networking import Gateway, GatewayServer
from istio_netpol.model.references import ObjectRef

EAST_WEST = {"app": "istio-eastwestgateway", "istio": "eastwestgateway"}
PODS = replace(deployment("istio-system/east-west"), labels=EAST_WEST, has_proxy=True)
CART = (listening("shop/cart", 8080), service("shop/cart", (80, 8080)))


def crossing(*hosts: str, mode: str = "AUTO_PASSTHROUGH", home: str = "istio-system") -> Gateway:
    ref = ObjectRef("networking.istio.io/v1", "Gateway", home, "cross-network-gateway")
    return Gateway(
        ref, {"istio": "eastwestgateway"}, (GatewayServer(15443, "TLS", hosts=hosts, tls_mode=mode),)
    )


def reached(gateway: Gateway, *others: object) -> list[str]:
    return flows(RULE, CART[1], CART[0], PODS, gateway, *others)


@pytest.mark.parametrize("host", ["*.local", "cart.shop.svc.cluster.local", "*/*.shop.svc.cluster.local"])
def test_exposed_services_are_reached_at_their_own_port(host: str) -> None:
    """The gateway ends no TLS: it connects to the pods behind the Service."""
    assert reached(crossing(host), injected("shop")) == ["istio-system/east-west -> shop/cart TCP 8080"]


@pytest.mark.parametrize(
    "gateway",
    [
        crossing("*.example.com"),
        crossing("*.bank.svc.cluster.local"),
        crossing("*.local", mode="PASSTHROUGH"),
    ],
)
def test_others_are_not(gateway: Gateway) -> None:
    """Neither what the hosts leave out, nor what a plain passthrough routes by VirtualServices."""
    assert reached(gateway, injected("shop")) == []


def test_pods_without_a_sidecar_are_not() -> None:
    """Nobody there ends the callers' mutual TLS."""
    assert reached(crossing("*.local"), namespace("shop")) == []


def test_nobody_says_that_they_are_called() -> None:
    """So a denial is a warning."""
    assert first_flow(RULE, CART[1], CART[0], PODS, crossing("*.local"), injected("shop")).dispensable


@pytest.mark.parametrize(("home", "count"), [("shop", 1), ("evil", 0)])
def test_a_gateway_of_others_speaks_for_nobody(home: str, count: int) -> None:
    """Whose pods it selects: those where administrators write, or its own."""
    own = replace(PODS, ref=replace(PODS.ref, namespace=home))
    found = reached(crossing("*", home=home), injected("shop"), own)
    assert len(found) == 2 * count
