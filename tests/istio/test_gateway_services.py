"""What the Service of a gateway declares by itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import first_flow, flows, gateway_api_gateway, service
from tests.values import deployment

from istio_netpol.istio.rules.gateway_services import RULE
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.istio_networking import Gateway, GatewayServer
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.settings import MeshSettings, Settings
from istio_netpol.model.workloads import Workload

CLIENT = "any -> doors/front TCP 80"
HEALTH_CHECK = "any -> doors/front TCP 15021"


def release(name: str = "front") -> Workload:
    """The pods of a release of the `gateway` chart."""
    labels = {"app": name, "istio": name.removeprefix("istio-")}
    by_injection = {"inject.istio.io/templates": "gateway"}
    return replace(deployment("doors/front"), labels=labels, annotations=by_injection)


def front(type_: str = "LoadBalancer", *ports: int, name: str = "front") -> Service:
    return service("doors/front", *(ports or (15021, 80)), selector={"app": name}, type=type_)


@pytest.mark.parametrize("name", ["front", "istio-ingress", "shop-gw", "a"])
def test_a_release_of_any_name_has_clients(name: str) -> None:
    """And health checks at the status port that its Service lists."""
    assert flows(RULE, front(name=name), release(name)) == [HEALTH_CHECK, CLIENT]


def test_health_checks_are_dispensable() -> None:
    """Some clouds ask the node instead."""
    assert first_flow(RULE, front("LoadBalancer", 15021), release()).dispensable
    assert not first_flow(RULE, front("LoadBalancer", 80), release()).dispensable


GOOGLE = ("35.191.0.0/16", "130.211.0.0/22")
SOURCES = {
    "ranges": (GOOGLE, [f"{range_} -> doors/front TCP 15021" for range_ in GOOGLE]),
    "anywhere": (("0.0.0.0/0",), [HEALTH_CHECK]),
    "anywhere in both families": (("0.0.0.0/0", "::/0"), [HEALTH_CHECK]),
    "one range twice": ((GOOGLE[0], GOOGLE[0]), [f"{GOOGLE[0]} -> doors/front TCP 15021"]),
}


@pytest.mark.parametrize(("known", "expected"), SOURCES.values(), ids=list(SOURCES))
def test_health_checks_are_needed_where_settings_say_whence_they_come(
    known: tuple[str, ...], expected: list[str]
) -> None:
    """Each range by itself: one that is cut takes the gateway out of the load balancer."""
    settings = Settings(mesh=MeshSettings(health_check_sources=known))
    objects = (front("LoadBalancer", 15021), release())
    assert flows(RULE, *objects, settings=settings) == sorted(expected)
    assert not first_flow(RULE, *objects, settings=settings).dispensable


@pytest.mark.parametrize(
    ("type_", "expected"), [("ClusterIP", []), ("NodePort", [CLIENT]), ("ExternalName", [])]
)
def test_only_what_is_reached_from_outside_says_so(type_: str, expected: list[str]) -> None:
    """No load balancer asks after nodes' ports."""
    assert flows(RULE, front(type_), release()) == expected


def test_a_port_that_is_not_listed_is_asked_by_nobody() -> None:
    """A load balancer knows the Service's ports alone."""
    assert flows(RULE, front("LoadBalancer", 80), release()) == [CLIENT]


@pytest.mark.parametrize("pods", [release("istio-egress"), deployment("doors/front", app="front")])
def test_other_pods_have_no_clients_of_a_gateway(pods: Workload) -> None:
    """Egress gateways are called by the mesh, and other Services are no gateways."""
    assert CLIENT not in flows(RULE, front(name=pods.labels["app"]), pods)


def test_istiods_ports_take_a_gateway_of_their_own() -> None:
    """An east-west gateway's Service lists them, whether or not istiod is exposed."""
    assert flows(RULE, front("LoadBalancer", 15012, 15017, 15443), release()) == [
        "any -> doors/front TCP 15443"
    ]


GATEWAY = Gateway(
    ObjectRef("networking.istio.io/v1", "Gateway", "doors", "front"),
    {"istio": "front"},
    (GatewayServer(443, "HTTPS"),),
)


@pytest.mark.parametrize(
    "gateway",
    [GATEWAY, *(gateway_api_gateway("doors/any", hostnames=(host,)) for host in ("front", "front.doors"))],
)
def test_a_gateway_of_the_input_says_which_ports_are_open(gateway: Gateway | KubernetesGateway) -> None:
    """Then the Service's ports count no more, and clients are the Gateway's."""
    assert flows(RULE, front(), release(), gateway) == [HEALTH_CHECK]
