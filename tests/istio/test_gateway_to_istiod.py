"""Gateways connect to istiod, also those that istiod has yet to deploy."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import flows, gateway, ingress_gateway, istiod, labelled, ref, told, view
from tests.values import namespace

from istio_netpol.istio.rules.gateway_to_istiod import RULE
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.labels import Labels
from istio_netpol.model.settings import MeshSettings, Settings

KUBERNETES_GATEWAY = ref("gateway.networking.k8s.io/v1", "Gateway", "edge/public")
LISTENERS = (Listener("http", 80, "HTTP"),)


def test_gateway_connects_to_istiod() -> None:
    """The classic chart's gateway is known by its labels and its own istio-proxy container."""
    pods = ingress_gateway()
    expected = [
        "gateway-to-istiod: Deployment istio-system/istio-ingressgateway -> Deployment "
        "istio-system/istiod TCP 15012"
    ]
    assert told(RULE, pods, view(pods, istiod())) == expected


def test_flow_says_why_it_is_needed() -> None:
    """A gateway without istiod opens no port."""
    pods = ingress_gateway()
    (flow,) = flows(RULE, pods, view(pods, istiod()))
    assert flow.reason == "the gateway gets its listeners, routes and certificates from istiod"
    assert flow.shared


@pytest.mark.parametrize(
    ("labels", "annotations"),
    [
        ({}, {"inject.istio.io/templates": "gateway"}),
        ({}, {"inject.istio.io/templates": "custom, gateway"}),
        ({"inject.istio.io/templates": "gateway"}, {}),
        ({"gateway.networking.k8s.io/gateway-name": "public"}, {}),
        ({"istio.io/gateway-name": "public"}, {}),
        ({"istio": "egressgateway"}, {}),
    ],
)
def test_pods_say_that_they_are_gateways(labels: Labels, annotations: Labels) -> None:
    """By the injection template, by the name of their Gateway, or by the classic label."""
    pods = replace(labelled("edge/gw", {"app": "gw", **labels}), annotations=dict(annotations))
    assert len(flows(RULE, pods, view(pods, istiod()))) == 1


def test_sidecar_is_no_gateway() -> None:
    """A pod that is injected with the usual template stays a sidecar, even if a Gateway selects it."""
    web = labelled("shop/web", {"app": "web", "istio": "ingressgateway"})
    mesh = view(
        namespace("shop", **{"istio-injection": "enabled"}), web, gateway("shop/own", app="web"), istiod()
    )
    assert flows(RULE, web, mesh) == []


def test_injected_sidecar_that_runs_is_no_gateway() -> None:
    """The injector's status tells an injected proxy from one that the pod brought along."""
    web = replace(
        labelled("shop/web", {"app": "web"}), has_proxy=True, annotations={"sidecar.istio.io/status": "{}"}
    )
    assert flows(RULE, web, view(web, gateway("shop/own", app="web"), istiod())) == []


def test_selected_pods_with_a_proxy_of_their_own_are_a_gateway() -> None:
    """Labels of one's own choice do, where a Gateway names them."""
    pods = replace(labelled("edge/gw", {"app": "gw"}), has_proxy=True)
    assert len(flows(RULE, pods, view(pods, gateway("edge/public", app="gw"), istiod()))) == 1
    assert flows(RULE, pods, view(pods, gateway("edge/public", app="other"), istiod())) == []


def test_gateway_of_a_stranger_makes_no_gateway_of_a_tenant_s_pods() -> None:
    """Where administrators run a bare proxy, anybody's Gateway may be the one that names it."""
    for home, found in (("edge", 0), ("istio-ingress", 1)):
        pods = replace(labelled(f"{home}/gw", {"app": "gw"}), has_proxy=True)
        assert len(flows(RULE, pods, view(pods, gateway("shop/public", app="gw"), istiod()))) == found


@pytest.mark.parametrize(("home", "found"), [("edge/public", 1), ("shop/public", 0)])
def test_gateway_may_be_scoped_to_its_namespace(home: str, found: int) -> None:
    """With PILOT_SCOPE_GATEWAY_TO_NAMESPACE, a Gateway of another namespace selects nothing here."""
    pods = replace(labelled("edge/gw", {"app": "gw"}), has_proxy=True)
    settings = Settings(mesh=MeshSettings(scope_gateway_to_namespace=True))
    mesh = view(pods, gateway(home, app="gw"), istiod(), settings=settings)
    assert len(flows(RULE, pods, mesh)) == found


@pytest.mark.parametrize(
    ("class_name", "name"),
    [("istio", "public-istio"), ("istio-waypoint", "public"), ("istio-east-west", "public")],
)
def test_gateway_that_is_not_deployed_yet_tells_what_its_pods_will_need(class_name: str, name: str) -> None:
    """istiod deploys the pods only once the Gateway is stored."""
    public = KubernetesGateway(KUBERNETES_GATEWAY, class_name, LISTENERS)
    mesh = view(public, istiod())
    expected = [f"gateway-to-istiod: Deployment edge/{name} -> Deployment istio-system/istiod TCP 15012"]
    assert told(RULE, public, mesh) == expected
    assert flows(RULE, public, mesh)[0].object == KUBERNETES_GATEWAY


def test_deployed_gateway_leaves_its_needs_to_its_pods() -> None:
    """Pods that run are subjects of their own."""
    public = KubernetesGateway(KUBERNETES_GATEWAY, "istio", LISTENERS)
    pods = labelled("edge/public-istio", {"gateway.networking.k8s.io/gateway-name": "public"})
    assert flows(RULE, public, view(public, pods, istiod())) == []


def test_other_controllers_gateways_are_left_alone() -> None:
    """A class that is not Istio's has nothing to do with istiod."""
    public = KubernetesGateway(KUBERNETES_GATEWAY, "nginx", LISTENERS)
    assert flows(RULE, public, view(public, istiod())) == []


def test_gateway_of_a_revision_asks_that_revision() -> None:
    """A Gateway's revision label goes to its pods."""
    public = KubernetesGateway(KUBERNETES_GATEWAY, "istio", LISTENERS, labels={"istio.io/rev": "canary"})
    canary = labelled("istio-system/istiod-canary", {"app": "istiod", "istio.io/rev": "canary"})
    mesh = view(public, istiod(), canary)
    assert [str(flow.destination) for flow in flows(RULE, public, mesh)] == [
        "Deployment istio-system/istiod-canary"
    ]


@pytest.mark.parametrize(
    ("own", "infrastructure", "expected"),
    [
        ({"team": "edge"}, None, {"team": "edge"}),
        ({"team": "edge"}, {"tier": "front"}, {"tier": "front"}),
        ({"istio.io/rev": "canary"}, {"tier": "front"}, {"tier": "front", "istio.io/rev": "canary"}),
        ({}, {"gateway.networking.k8s.io/other": "x"}, {}),
    ],
)
def test_pods_to_come_have_the_labels_that_istiod_gives_them(
    own: dict[str, str], infrastructure: dict[str, str] | None, expected: dict[str, str]
) -> None:
    """Policies select the pods by them: those of `infrastructure`, else the Gateway's own."""
    public = KubernetesGateway(
        ref("gateway.networking.k8s.io/v1", "Gateway", "edge/public"),
        "istio",
        LISTENERS,
        labels=own,
        pod_labels=infrastructure,
    )
    (flow,) = flows(RULE, public, view(public, istiod()))
    labels = flow.source.workload.labels  # type: ignore[union-attr]
    of_the_template = ("gateway.", "service.istio.io/", "sidecar.istio.io/")
    assert {key: value for key, value in labels.items() if not key.startswith(of_the_template)} == expected


@pytest.mark.parametrize(
    ("class_name", "has_proxy", "asks"), [("istio", False, 1), ("nginx", False, 0), ("our-istio", True, 1)]
)
def test_gateways_of_other_controllers_are_none_of_istio(class_name: str, has_proxy: bool, asks: int) -> None:
    """NGINX and others label their pods with the Gateway's name too; a proxy that was seen is Istio's."""
    name = {"gateway.networking.k8s.io/gateway-name": "public"}
    pods = replace(labelled("edge/public", name), has_proxy=has_proxy)
    public = KubernetesGateway(
        ref("gateway.networking.k8s.io/v1", "Gateway", "edge/public"), class_name, LISTENERS
    )
    assert len(told(RULE, pods, view(public, pods, istiod()))) == asks
