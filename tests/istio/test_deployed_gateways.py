"""The pods of Gateways before istiod has made them look as its templates say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import gateway_api_gateway, istiod
from tests.values import deployment

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot


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
