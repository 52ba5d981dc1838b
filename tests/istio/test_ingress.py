"""Ingresses of Istio's class: the ingress gateway serves them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.builders import ingress_gateway, labelled
from tests.istio.outcomes import findings, first_flow, flows, listening, mesh_config, ref, service
from tests.istio.outcomes import outcomes as told

from istio_netpol.istio.rules.ingress import RULE
from istio_netpol.model.control_plane import IngressMode
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.ingress import Ingress, IngressBackend, IngressClass
from istio_netpol.model.services import ServicePort
from istio_netpol.model.workloads import ContainerPort

GATEWAY = ingress_gateway()
PORTS = (ServicePort(80, 8080, "http"), ServicePort(9090, "metrics", "metrics"))
CART = (
    labelled("shop/cart", {"app": "cart"}, ContainerPort(8080), ContainerPort(9100, "metrics")),
    service("shop/cart", *PORTS),
)
BACKEND = "spec.rules[0].http.paths[0].backend"


def ingress(port: int | str | None = 80, name: str = "cart", **fields: Any) -> Ingress:
    backends = (IngressBackend(name, port, BACKEND),)
    return Ingress(ref("Ingress", "shop/cart"), **{"annotated": "istio", "backends": backends, **fields})


def named(name: str, controller: str = "istio.io/ingress-controller") -> IngressClass:
    return IngressClass(ref("IngressClass", f"/{name}"), controller)


def served(subject: Ingress, *objects: Any) -> bool:
    return bool(
        [
            outcome
            for outcome in told(RULE, subject, GATEWAY, *CART, *objects)
            if isinstance(outcome, RequiredFlow)
        ]
    )


def test_the_gateway_reaches_the_pods_behind_the_service() -> None:
    """On the pods' port; clients reach the gateway on its own."""
    assert flows(RULE, ingress(), GATEWAY, *CART) == [
        "any -> istio-system/istio-ingressgateway TCP 8080",
        "istio-system/istio-ingressgateway -> shop/cart TCP 8080",
    ]


def test_a_port_may_be_named() -> None:
    """By the Service port's name, which is not the container port's."""
    found = flows(RULE, ingress("metrics"), GATEWAY, *CART)
    assert "istio-system/istio-ingressgateway -> shop/cart TCP 9100" in found


def test_a_certificate_opens_443() -> None:
    """istiod adds a server for each."""
    assert "any -> istio-system/istio-ingressgateway TCP 8443" in flows(
        RULE, ingress(ends_tls=True), GATEWAY, *CART
    )


@pytest.mark.parametrize(
    ("annotated", "class_name", "classes", "mode", "expected"),
    [
        ("istio", "", (), IngressMode.STRICT, True),
        ("istio", "", (), IngressMode.DEFAULT, True),
        ("istio", "", (), IngressMode.OFF, False),
        ("nginx", "", (), IngressMode.DEFAULT, False),
        ("nginx", "istio", (named("istio"),), IngressMode.STRICT, False),
        (None, "istio", (named("istio"),), IngressMode.STRICT, True),
        (None, "corp", (named("corp"),), IngressMode.STRICT, True),
        (None, "istio", (named("istio", "k8s.io/ingress-nginx"),), IngressMode.DEFAULT, False),
        (None, "istio", (named("istio"),), IngressMode.OFF, False),
        (None, "nginx", (), IngressMode.STRICT, False),
        (None, "", (), IngressMode.STRICT, False),
        (None, "", (), IngressMode.DEFAULT, True),
        (None, "gone", (), IngressMode.DEFAULT, True),
    ],
)
def test_whose_an_ingress_is(
    annotated: str | None,
    class_name: str,
    classes: tuple[IngressClass, ...],
    mode: IngressMode,
    expected: bool,
) -> None:
    """The annotation goes first, then the class; without either the mode decides."""
    subject = ingress(annotated=annotated, class_name=class_name)
    assert served(subject, *classes, mesh_config(ingress_mode=mode)) is expected


def test_the_mesh_names_the_class_of_the_annotation() -> None:
    """`ingressClass` of the mesh config is what the annotation has to say."""
    assert served(ingress(annotated="edge"), mesh_config(ingress_class="edge"))
    assert not served(ingress(annotated="istio"), mesh_config(ingress_class="edge"))


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({}, "ingressgateway"),
        ({"ingress_selector": "edge"}, "edge"),
        ({"ingress_service": "front"}, "front"),
        ({"ingress_service": "front", "ingress_selector": "edge"}, "edge"),
        ({"ingress_service": "istio-ingressgateway"}, "ingressgateway"),
        ({"ingress_service": ""}, "ingressgateway"),
    ],
)
def test_the_mesh_says_which_gateway_serves(settings: dict[str, str], label: str) -> None:
    """The selector before the Service, whose name is the label's value."""
    gateways = [
        replace(labelled(f"istio-system/{name}", {"istio": name}, ContainerPort(8080)), has_proxy=True)
        for name in ("ingressgateway", "edge", "front")
    ]
    found = flows(RULE, ingress(), *gateways, *CART, mesh_config(**settings))
    assert f"istio-system/{label} -> shop/cart TCP 8080" in found
    assert len(found) == 2


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (ingress(name="gone"), f"{BACKEND}.service.name: there is no Service shop/gone"),
        (
            ingress(81),
            f"{BACKEND}.service.port: Service shop/cart has no port 81; its ports: 80 (http)",
        ),
        (ingress("web"), f"{BACKEND}.service.port: Service shop/cart has no port web"),
        (ingress(None), f"{BACKEND}.service.port: Service shop/cart needs a port here"),
        (
            ingress(backends=(IngressBackend("", field=BACKEND, resource="Bucket"),)),
            f"{BACKEND}: it names Bucket, and Istio serves Services only",
        ),
        (ingress(has_default=True), "spec.defaultBackend: Istio serves no defaultBackend"),
        (
            ingress(annotated=None, class_name="istio"),
            "spec.ingressClassName: there is no IngressClass istio, so nothing tells whether Istio serves",
        ),
    ],
)
def test_what_istio_does_not_serve_is_named(subject: Ingress, said: str) -> None:
    """Silence would say that nothing is missing."""
    (found,) = findings(RULE, subject, GATEWAY, *CART)
    assert found.startswith(f"unknown-destination warning: Ingress shop/cart: {said}")


def test_a_service_without_pods_is_named() -> None:
    (found,) = findings(RULE, ingress(), GATEWAY, service("shop/cart", (80, 8080)))
    assert f"{BACKEND}.service: no pods answer on port 80 of Service shop/cart" in found


def test_a_tenant_opens_its_own_pods_and_the_shared_gateways_way_to_them() -> None:
    """As by a VirtualService: the clients of a shared gateway are an administrator's to admit."""
    found = [
        outcome for outcome in told(RULE, ingress(), GATEWAY, *CART) if isinstance(outcome, RequiredFlow)
    ]
    by_kind = {flow.kind: flow.agreement for flow in found}
    assert by_kind[FlowKind.CLIENT_TO_GATEWAY].ingress == frozenset()
    assert by_kind[FlowKind.GATEWAY_TO_WORKLOAD].ingress == frozenset({"shop"})
    assert by_kind[FlowKind.GATEWAY_TO_WORKLOAD].egress == frozenset({"shop", "istio-system"})


def test_the_flow_says_why_and_where() -> None:
    """The field is the backend's."""
    found = [
        outcome for outcome in told(RULE, ingress(), GATEWAY, *CART) if isinstance(outcome, RequiredFlow)
    ]
    assert (found[-1].field, found[-1].reason) == (
        BACKEND,
        "Ingress shop/cart sends what the ingress gateway receives to Service shop/cart",
    )
    assert first_flow(RULE, ingress(), GATEWAY, *CART).field == "spec.rules"


def test_pods_of_a_tenant_serve_no_ingress_by_their_labels() -> None:
    """Only where administrators write."""
    own = replace(labelled("shop/fake", {"istio": "ingressgateway"}, ContainerPort(8080)), has_proxy=True)
    (found,) = findings(RULE, ingress(), own, *CART, listening("else/x", 80))
    assert "no gateway pods have the label istio=ingressgateway where only administrators write" in found
