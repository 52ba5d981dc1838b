"""What Istio makes of a Gateway of the Gateway API: its role by its class, and the pods that are deployed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import istiod, view
from tests.istio.outcomes import (
    ambient,
    findings,
    flows,
    gateway_api_gateway,
    listening,
    ref,
    service,
    waypoint,
)
from tests.values import deployment, namespace

from istio_netpol.istio.rules import client_to_gateway, hbone, kubernetes_routes
from istio_netpol.istio.view.kubernetes_gateways import GatewayRole
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.gateway_api import (
    BackendRef,
    GatewayClass,
    KubernetesGateway,
    KubernetesRoute,
    ParentRef,
)
from istio_netpol.model.settings import MeshSettings, Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

CART = (listening("shop/cart", 8080), service("shop/cart", (80, 8080)))
ROUTE = KubernetesRoute(
    ref("HTTPRoute", "shop/cart"), (ParentRef("Gateway", "gw"),), (BackendRef("cart", port=80),)
)


def named(name: str, controller: str, **labels: str) -> GatewayClass:
    return GatewayClass(ref("GatewayClass", f"/{name}"), controller, labels)


def started_with(**variables: str) -> Workload:
    return replace(istiod(), switches=variables)


@pytest.mark.parametrize(
    ("class_name", "objects", "role"),
    [
        ("istio", (), "gateway"),
        ("istio-waypoint", (), "waypoint"),
        ("istio-remote", (), "remote"),
        ("istio-east-west", (), "east-west"),
        ("istio-agentgateway", (), "agent gateway"),
        ("istio-agentgateway-waypoint", (), "waypoint"),
        ("corp", (), "unknown"),
        ("corp", (named("corp", "istio.io/gateway-controller"),), "gateway"),
        ("way", (named("way", "istio.io/mesh-controller"),), "waypoint"),
        ("far", (named("far", "istio.io/unmanaged-gateway"),), "remote"),
        ("across", (named("across", "istio.io/eastwest-controller"),), "east-west"),
        ("corp", (named("corp", "gateway.envoyproxy.io/gatewayclass-controller"),), "foreign"),
        ("istio", (named("istio", "example.com/other"),), "foreign"),
        ("istio-waypoint", (named("istio-waypoint", "istio.io/gateway-controller"),), "gateway"),
        (
            "corp",
            (named("corp", "corp/istio"), started_with(PILOT_GATEWAY_API_CONTROLLER_NAME="corp/istio")),
            "gateway",
        ),
        (
            "corp",
            (
                named("corp", "istio.io/gateway-controller"),
                started_with(PILOT_GATEWAY_API_CONTROLLER_NAME="corp/istio"),
            ),
            "foreign",
        ),
        ("edge", (started_with(PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME="edge"),), "gateway"),
        ("istio", (started_with(PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME="edge"),), "unknown"),
    ],
)
def test_a_class_is_told_by_its_controller(class_name: str, objects: tuple[object, ...], role: str) -> None:
    """Without its object the names hold under which istiod serves its own classes."""
    gateway = gateway_api_gateway("shop/gw", class_name=class_name)
    assert view(*objects).gateway_role(gateway) == GatewayRole(role)


def test_the_controller_name_can_be_set_where_istiod_is_not_in_the_input() -> None:
    """An app's repository does not hold istiod."""
    settings = Settings(mesh=MeshSettings(gateway_controller="corp/istio"))
    gateway = gateway_api_gateway("shop/gw", class_name="corp")
    objects = (named("corp", "corp/istio"),)
    assert view(*objects, settings=settings).gateway_role(gateway) is GatewayRole.GATEWAY
    assert view(istiod(), *objects).gateway_role(gateway) is GatewayRole.FOREIGN


def test_a_route_of_a_class_of_the_users_own_leads_from_the_pods_that_istiod_deploys() -> None:
    """The Deployment carries the name of the class, whatever that is."""
    gateway = gateway_api_gateway("shop/gw", class_name="corp")
    corp = named("corp", "istio.io/gateway-controller")
    assert flows(kubernetes_routes.RULE, ROUTE, gateway, corp, *CART) == [
        "shop/gw-corp -> shop/cart TCP 8080"
    ]


@pytest.mark.parametrize(
    ("class_name", "controller"), [("istio", "example.com/other"), ("far", "istio.io/unmanaged-gateway")]
)
def test_nobody_of_istio_serves_a_foreign_or_remote_gateway(class_name: str, controller: str) -> None:
    """istiod deploys no pods, and nothing is said of the addresses."""
    gateway = gateway_api_gateway("shop/gw", class_name=class_name, hostnames=("far.example.com",))
    objects = (gateway, named(class_name, controller), *CART)
    assert flows(kubernetes_routes.RULE, ROUTE, *objects) == []
    assert flows(client_to_gateway.RULE, gateway, *objects) == []
    assert findings(client_to_gateway.RULE, gateway, *objects) == []


def test_a_class_that_is_not_there_is_named() -> None:
    """Silence would say that nothing is missing."""
    gateway = gateway_api_gateway("shop/gw", class_name="corp")
    (said,) = findings(client_to_gateway.RULE, gateway)
    assert said == (
        "unknown-destination info: Gateway shop/gw: spec.gatewayClassName: there is no GatewayClass corp, so "
        "nothing tells whether Istio serves this gateway; add the class, or correct the name"
    )


@pytest.mark.parametrize(
    ("on_class", "on_gateway", "serves"),
    [
        ({}, {}, True),
        ({"istio.io/waypoint-for": "workload"}, {}, False),
        ({"istio.io/waypoint-for": "workload"}, {"istio.io/waypoint-for": "all"}, True),
        ({"istio.io/waypoint-for": "all"}, {"istio.io/waypoint-for": "none"}, False),
    ],
)
def test_a_class_says_what_its_waypoints_serve(
    on_class: dict[str, str], on_gateway: dict[str, str], serves: bool
) -> None:
    """A waypoint's own label goes before that of its class."""
    way = replace(waypoint("shop/way", labels=on_gateway), class_name="way")
    corp = named("way", "istio.io/mesh-controller", **on_class)
    chosen = service("shop/cart", (80, 8080), labels={"istio.io/use-waypoint": "way"})
    mesh = view(ambient("shop"), namespace("else"), way, corp, listening("shop/cart", 8080), chosen)
    assert bool(list(hbone.RULE.outcomes(way, mesh))) is serves


def predicted(gateway: KubernetesGateway, *others: object) -> Workload:
    view = MeshView(Snapshot.of([gateway, *others]), Settings())
    (pods,) = view.predicted_gateway_workloads(gateway)
    return pods


@pytest.mark.parametrize(
    ("class_name", "name", "managed"),
    [
        ("istio", "pub-istio", "istio.io-gateway-controller"),
        ("istio-waypoint", "pub", "istio.io-mesh-controller"),
        ("istio-east-west", "pub", "istio.io-eastwest-controller"),
        ("istio-agentgateway", "pub", "istio.io-agentgateway-controller"),
        ("istio-agentgateway-waypoint", "pub", "istio.io-agentgateway-waypoint-controller"),
    ],
)
def test_pods_have_the_labels_of_their_template(class_name: str, name: str, managed: str) -> None:
    """Those by which policies select all managed gateways, those of a class, or one of them."""
    pods = predicted(gateway_api_gateway("edge/pub", class_name=class_name))
    assert (pods.name, pods.service_account) == (name, name)
    assert pods.labels == {
        "gateway.istio.io/managed": managed,
        "gateway.networking.k8s.io/gateway-class-name": class_name,
        "gateway.networking.k8s.io/gateway-name": "pub",
        "istio.io/dataplane-mode": "none",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
        "sidecar.istio.io/inject": "false",
    }


def test_remote_gateways_get_no_pods() -> None:
    """They run in another cluster."""
    gateway = gateway_api_gateway("edge/pub", class_name="istio-remote")
    view = MeshView(Snapshot.of([gateway]), Settings())
    assert view.predicted_gateway_workloads(gateway) == ()


def test_infrastructure_replaces_what_the_template_says() -> None:
    """But not the labels by which the Gateway finds its pods, and none of the Gateway API's own."""
    given = {"service.istio.io/canonical-name": "door", "gateway.networking.k8s.io/gateway-name": "other"}
    pods = predicted(
        gateway_api_gateway("edge/pub", pod_labels={**given, "team": "front"}, labels={"a": "b"})
    )
    assert pods.labels["service.istio.io/canonical-name"] == "door"
    assert pods.labels["gateway.networking.k8s.io/gateway-name"] == "pub"
    assert (pods.labels["team"], "a" in pods.labels) == ("front", False)


@pytest.mark.parametrize(("switch", "mode"), [("true", "none"), ("", None)])
def test_istiod_says_whether_the_mesh_is_ambient(switch: str, mode: str | None) -> None:
    """Without ambient mode, gateways have no mode."""
    control_plane = replace(istiod(), switches={"PILOT_ENABLE_AMBIENT": switch} if switch else {})
    pods = predicted(gateway_api_gateway("edge/pub"), control_plane)
    assert pods.labels.get("istio.io/dataplane-mode") == mode


def test_annotations_rename_the_deployment() -> None:
    """And give it another service account."""
    renamed = {"gateway.istio.io/name-override": "door", "gateway.istio.io/service-account": "keeper"}
    pods = predicted(gateway_api_gateway("edge/pub", annotations=renamed))
    assert (pods.name, pods.service_account) == ("door", "keeper")
    assert pods.labels["service.istio.io/canonical-name"] == "door"


def test_pods_that_are_there_are_what_they_are() -> None:
    """Nothing is predicted beside them."""
    gateway = gateway_api_gateway("edge/pub")
    running = replace(deployment("edge/pub-istio"), labels={"gateway.networking.k8s.io/gateway-name": "pub"})
    view = MeshView(Snapshot.of([gateway, running]), Settings())
    assert view.predicted_gateway_workloads(gateway) == ()
    assert view.predicted_workloads("edge") == ()
