"""Routes of the Gateway API: from a Gateway's pods to the backends."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import (
    ambient,
    findings,
    first_flow,
    flows,
    gateway_api_gateway,
    listening,
    outcomes,
    ref,
    service,
    udp,
    waypoint,
)
from tests.values import deployment, namespace

from istio_netpol.istio.rules.kubernetes_routes import RULE
from istio_netpol.model.gateway_api import (
    BackendRef,
    GrantFrom,
    GrantTo,
    KubernetesGateway,
    KubernetesRoute,
    Listener,
    ParentRef,
    ReferenceGrant,
)
from istio_netpol.model.istio_networking import ServiceEntry, ServiceEntryPort, WorkloadEndpoint
from istio_netpol.model.labels import Selector

GATEWAY = gateway_api_gateway("shop/gw")
CART = listening("shop/cart", 8080)
CART_SERVICE = service("shop/cart", (80, 8080))
FIELD = "spec.rules[0].backendRefs[0]"


def route(
    *backends: BackendRef, parents: tuple[ParentRef, ...] = (), kind: str = "HTTPRoute"
) -> KubernetesRoute:
    return KubernetesRoute(ref(kind, "shop/cart"), parents or (ParentRef("Gateway", "gw"),), backends)


def to_cart(**fields: Any) -> BackendRef:
    return BackendRef(**{"name": "cart", "port": 80, "field": FIELD, **fields})


def test_gateway_reaches_the_target_port() -> None:
    """The pods that istiod will create for the Gateway connect to the pods' port, not the Service's."""
    assert flows(RULE, route(to_cart()), GATEWAY, CART, CART_SERVICE) == [
        "shop/gw-istio -> shop/cart TCP 8080"
    ]


def test_running_gateway_pods_are_used() -> None:
    """Where the Gateway's pods run already, they are the source."""
    pods = deployment("shop/own-name", **{"gateway.networking.k8s.io/gateway-name": "gw"})
    found = flows(RULE, route(to_cart()), GATEWAY, CART, CART_SERVICE, pods)
    assert found == ["shop/own-name -> shop/cart TCP 8080"]


def test_manually_deployed_gateway_is_found_by_its_hostname() -> None:
    """A Hostname address names the Service whose pods serve the Gateway."""
    gateway = gateway_api_gateway("shop/gw", hostnames=("edge.istio-ingress.svc.cluster.local",))
    edge = replace(deployment("istio-ingress/edge"), has_proxy=True)
    others = (service("istio-ingress/edge"), edge, CART, CART_SERVICE)
    assert flows(RULE, route(to_cart()), gateway, *others) == ["istio-ingress/edge -> shop/cart TCP 8080"]


@pytest.mark.parametrize("home", ["infra", "kube-system"])
def test_hostname_makes_no_gateway_of_others_pods(home: str) -> None:
    """Pods of other tenants, and of Kubernetes, serve no Gateway because it names their Service."""
    gateway = gateway_api_gateway("shop/gw", hostnames=(f"edge.{home}.svc.cluster.local",))
    edge = replace(deployment(f"{home}/edge"), has_proxy=True)
    assert flows(RULE, route(to_cart()), gateway, service(f"{home}/edge"), edge, CART, CART_SERVICE) == []


def test_flow_says_why_and_where() -> None:
    """The flow carries the path of the backend and a reason."""
    flow = first_flow(RULE, route(to_cart()), GATEWAY, CART, CART_SERVICE)
    assert flow.field == FIELD
    assert flow.reason == "HTTPRoute shop/cart sends what Gateway shop/gw receives to Service shop/cart"


def test_every_backend_counts() -> None:
    """Weighted backends and mirrors all receive requests."""
    mirror = to_cart(name="audit", field="spec.rules[0].filters[0].requestMirror.backendRef")
    others = (CART, CART_SERVICE, listening("shop/audit", 9000), service("shop/audit", (80, 9000)))
    assert flows(RULE, route(to_cart(), mirror), GATEWAY, *others) == [
        "shop/gw-istio -> shop/audit TCP 9000",
        "shop/gw-istio -> shop/cart TCP 8080",
    ]


def test_parent_of_another_namespace() -> None:
    """A Gateway of another namespace has its pods there."""
    parent = ParentRef("Gateway", "edge", namespace="infra")
    edge = listening_at("infra/edge", routes_from="All")
    found = flows(RULE, route(to_cart(), parents=(parent,)), edge, CART, CART_SERVICE)
    assert found == ["infra/edge-istio -> shop/cart TCP 8080"]


def listening_at(key: str, **listener: Any) -> KubernetesGateway:
    """A Gateway with one HTTP listener of the name web."""
    given = {"name": "web", "port": 80, "protocol": "HTTP", **listener}
    return KubernetesGateway(ref("Gateway", key), "istio", (Listener(**given),))


NO_SUCH_LISTENER = "has no listener of that sectionName and port; correct the reference"
OTHER_KINDS = "has no listener for HTTPRoutes; correct the reference, or allow them in allowedRoutes.kinds"
OTHERS = ParentRef("Gateway", "edge", namespace="infra")


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ({}, True),
        ({"routes_from": "None"}, True),
        ({"routes_from": "Selector"}, True),
        ({"routes_from": "Selector", "namespaces": Selector.of({"team": "other"})}, True),
        ({"routes_from": "Selector", "namespaces": Selector.of({"team": "shop"})}, False),
        ({"routes_from": "All"}, False),
    ],
)
def test_a_gateway_of_others_serves_whom_it_admits(allowed: dict[str, Any], refused: bool) -> None:
    """A tenant's route opens no egress of a gateway that does not take routes of its namespace."""
    subject = route(to_cart(), parents=(OTHERS,))
    others = (listening_at("infra/edge", **allowed), CART, CART_SERVICE, namespace("shop", team="shop"))
    assert bool(flows(RULE, subject, *others)) != refused
    assert findings(RULE, subject, *others) == (
        [
            "consent-missing warning: HTTPRoute shop/cart: spec.parentRefs[0]: Gateway infra/edge admits no "
            "routes of namespace shop; allow them in the listener's allowedRoutes.namespaces"
        ]
        if refused
        else []
    )


@pytest.mark.parametrize(
    ("listener", "parent", "told"),
    [
        ({}, {"section_name": "admin"}, NO_SUCH_LISTENER),
        ({}, {"port": 8443}, NO_SUCH_LISTENER),
        (
            {"hostname": "*.example.org"},
            {},
            "serves none of cart.example.com; correct the hostnames",
        ),
        (
            {"route_kinds": ("GRPCRoute",)},
            {},
            OTHER_KINDS,
        ),
        (
            {"protocol": "TCP"},
            {},
            OTHER_KINDS,
        ),
    ],
)
def test_a_route_that_no_listener_takes_needs_nothing(
    listener: dict[str, Any], parent: dict[str, Any], told: str
) -> None:
    """A reference to a listener that is not there, or that serves something else, attaches nothing."""
    subject = replace(
        route(to_cart(), parents=(ParentRef("Gateway", "gw", **parent),)), hostnames=("cart.example.com",)
    )
    others = (listening_at("shop/gw", **listener), CART, CART_SERVICE)
    assert flows(RULE, subject, *others) == []
    assert findings(RULE, subject, *others) == [
        f"consent-missing warning: HTTPRoute shop/cart: spec.parentRefs[0]: Gateway shop/gw {told}"
    ]


@pytest.mark.parametrize(
    ("listener", "parent"),
    [
        ({}, {"section_name": "web", "port": 80}),
        ({"hostname": "*.example.com"}, {}),
        ({"hostname": "cart.example.com", "route_kinds": ("GRPCRoute", "HTTPRoute")}, {}),
        ({"protocol": "example.com/own"}, {}),
    ],
)
def test_a_route_that_a_listener_takes_is_served(listener: dict[str, Any], parent: dict[str, Any]) -> None:
    """One listener that takes the route is enough."""
    subject = replace(
        route(to_cart(), parents=(ParentRef("Gateway", "gw", **parent),)), hostnames=("cart.example.com",)
    )
    others = (listening_at("shop/gw", **listener), CART, CART_SERVICE)
    assert flows(RULE, subject, *others) == ["shop/gw-istio -> shop/cart TCP 8080"]


def test_two_listeners_of_a_gateway_are_one_client() -> None:
    """A route that names two sections of a Gateway asks for each flow once."""
    parents = (ParentRef("Gateway", "gw", section_name="web"), ParentRef("Gateway", "gw", port=80))
    found = outcomes(RULE, route(to_cart(), parents=parents), listening_at("shop/gw"), CART, CART_SERVICE)
    assert len(found) == 1


def test_a_port_that_is_served_over_udp_too_is_reached_over_tcp() -> None:
    """HTTP/3 beside HTTPS on one Service port makes no gateway speak UDP to the pods."""
    both = service("shop/cart", (80, 8080), udp(80, 8080))
    assert flows(RULE, route(to_cart()), GATEWAY, CART, both) == ["shop/gw-istio -> shop/cart TCP 8080"]


def test_service_parent_needs_no_gateway() -> None:
    """A route of the mesh yields no flows, and what it makes of its parent's clients is said not to be
    judged."""
    parent = ParentRef("Service", "cart", group="")
    assert flows(RULE, route(to_cart(name="gone"), parents=(parent,))) == []
    assert findings(RULE, route(to_cart(), parents=(parent,))) == []
    (said,) = findings(RULE, route(to_cart(name="gone"), parents=(parent,)))
    assert said.startswith("unknown-destination info: HTTPRoute shop/cart: spec.parentRefs[0]: where")


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("inference.networking.k8s.io", "InferencePool"),
        ("gateway.networking.k8s.io", "Mesh"),
        ("example.com", "Gateway"),
        ("gateway.networking.k8s.io", "Service"),
    ],
)
def test_a_parent_that_nobody_reads_is_named(group: str, kind: str) -> None:
    """Silence would say that the route needs nothing."""
    found = findings(
        RULE, route(to_cart(), parents=(ParentRef(kind, "odd", group=group),)), CART, CART_SERVICE
    )
    assert found == [
        f"unknown-destination warning: HTTPRoute shop/cart: spec.parentRefs[0]: {kind} shop/odd of group "
        f"{group} is not a parent that is read, so it is not known who serves the route; name a "
        "Gateway, a ListenerSet, a Service or a ServiceEntry"
    ]


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("inference.networking.k8s.io", "InferencePool"),
        ("multicluster.x-k8s.io", "ServiceImport"),
        ("networking.istio.io", "Hostname"),
        ("example.com", "Bucket"),
    ],
)
def test_a_backend_that_nobody_reads_is_named(group: str, kind: str) -> None:
    """A backend without pods that can be told is no backend without needs."""
    (said,) = findings(RULE, route(to_cart(group=group, kind=kind, name="odd")), GATEWAY, CART, CART_SERVICE)
    assert said.startswith(f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: ")
    assert "odd" in said


def test_istio_serves_no_udp_route() -> None:
    """Gateways of other controllers do, over UDP."""
    gateway = replace(GATEWAY, listeners=(Listener("dns", 53, "UDP"),))
    dns = service("shop/cart", udp(80, 5353))
    subject = route(to_cart(), kind="UDPRoute")
    assert flows(RULE, subject, gateway, CART, dns) == []
    assert findings(RULE, subject, gateway, CART, dns) == [
        "unknown-destination warning: UDPRoute shop/cart: spec.parentRefs[0]: Gateway shop/gw is Istio's, "
        "and Istio serves no UDPRoute"
    ]
    foreign = replace(gateway, class_name="other")
    pods = replace(deployment("shop/other"), labels={"gateway.networking.k8s.io/gateway-name": "gw"})
    assert flows(RULE, subject, foreign, pods, CART, dns) == ["shop/other -> shop/cart UDP 5353"]


def test_missing_gateway_is_told() -> None:
    """A parent that is not there is a warning at its path."""
    assert findings(RULE, route(to_cart()), CART, CART_SERVICE) == [
        "unknown-destination warning: HTTPRoute shop/cart: spec.parentRefs[0]: there is no Gateway shop/gw; "
        "create it, or correct the reference"
    ]


def test_missing_service_is_told() -> None:
    """A backend that is not there is a warning at its path."""
    assert findings(RULE, route(to_cart()), GATEWAY) == [
        f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: there is no Service shop/cart; "
        "create it, or correct the reference"
    ]


def test_backend_without_port_is_told() -> None:
    """Istio refuses a Service without a port."""
    assert findings(RULE, route(to_cart(port=None)), GATEWAY, CART, CART_SERVICE) == [
        f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: the port of Service shop/cart is "
        "missing, "
        "so Istio refuses the backend; add it"
    ]


def test_backend_without_pods_is_told() -> None:
    """A Service behind which nothing answers can't be opened."""
    assert findings(RULE, route(to_cart()), GATEWAY, CART_SERVICE) == [
        f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: no pods answer on port 80 of Service "
        "shop/cart; "
        "compare its selector and ports with the pods'"
    ]


def test_backend_of_another_kind_is_told() -> None:
    """Pods behind kinds that are neither Service nor Hostname can't be named."""
    backend = to_cart(kind="InferencePool", group="inference.networking.k8s.io")
    assert findings(RULE, route(backend), GATEWAY) == [
        f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: InferencePool shop/cart is not a "
        "backend whose pods can be named; use a Service"
    ]


def granted(
    kind: str = "HTTPRoute", where: str = "shop", name: str = "", to_kind: str = "Service"
) -> ReferenceGrant:
    froms = (GrantFrom("gateway.networking.k8s.io", kind, where),)
    return ReferenceGrant(ref("ReferenceGrant", "pay/shop"), froms, (GrantTo("", to_kind, name),))


OTHER = (GATEWAY, listening("pay/cart", 8080), service("pay/cart", (80, 8080)))


def test_grant_lets_a_route_leave_its_namespace() -> None:
    """With a ReferenceGrant for the kind and namespace of the route the backend counts."""
    backend = to_cart(namespace="pay")
    expected = ["shop/gw-istio -> pay/cart TCP 8080"]
    assert flows(RULE, route(backend), *OTHER, granted()) == expected
    assert flows(RULE, route(backend), *OTHER, granted(name="cart")) == expected


def test_missing_grant_is_told() -> None:
    """Without a grant Istio refuses the backend, and the finding spells the one that is missing."""
    assert flows(RULE, route(to_cart(namespace="pay")), *OTHER) == []
    assert findings(RULE, route(to_cart(namespace="pay")), *OTHER) == [
        f"consent-missing warning: HTTPRoute shop/cart: {FIELD}: Service pay/cart is in another namespace, "
        "and no "
        "ReferenceGrant in pay lets HTTPRoutes of shop refer to it, so Istio refuses the backend; create a "
        "ReferenceGrant in pay with from group gateway.networking.k8s.io, kind HTTPRoute, namespace shop "
        "and to kind "
        "Service, name cart"
    ]


def test_grant_for_something_else_does_not_count() -> None:
    """Kind and namespace of the route, and kind and name of the target, have to agree."""
    backend = route(to_cart(namespace="pay"))
    for grant in (
        granted(kind="TCPRoute"),
        granted(where="other"),
        granted(name="ledger"),
        granted(to_kind="Secret"),
    ):
        assert flows(RULE, backend, *OTHER, grant) == []


def test_hostname_backend_may_be_a_service_entry() -> None:
    """Istio's Hostname backends stand for a Service or ServiceEntry of that host."""
    entry = ServiceEntry(
        ref("ServiceEntry", "shop/api"),
        ("api.example.com",),
        ports=(ServiceEntryPort(443),),
        resolution="DNS",
    )
    backend = to_cart(name="api.example.com", kind="Hostname", group="networking.istio.io", port=443)
    assert flows(RULE, route(backend), GATEWAY, entry) == ["shop/gw-istio -> api.example.com TCP 443"]


def test_unknown_hostname_backend_is_told() -> None:
    """A Hostname that no object declares leads nowhere."""
    backend = to_cart(name="api.example.com", kind="Hostname", group="networking.istio.io", port=443)
    assert findings(RULE, route(backend), GATEWAY) == [
        f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: there is no Service or ServiceEntry "
        "with the "
        "host api.example.com; create it, or correct the reference"
    ]


def test_ambient_backend_is_reached_through_its_tunnel() -> None:
    """A gateway speaks HBONE to pods in ambient mode."""
    found = flows(RULE, route(to_cart()), gateway_api_gateway("shop/gw"), ambient("shop"), CART, CART_SERVICE)
    assert found == ["shop/gw-istio -> shop/cart TCP 15008"]


def test_gateway_passes_the_waypoint_where_the_service_opts_in() -> None:
    """`istio.io/ingress-use-waypoint` puts the waypoint between gateway and backend."""
    labels = {"istio.io/use-waypoint": "way", "istio.io/ingress-use-waypoint": "true"}
    others = (
        GATEWAY,
        waypoint("shop/way"),
        ambient("shop"),
        CART,
        service("shop/cart", (80, 8080), labels=labels),
    )
    assert flows(RULE, route(to_cart()), *others) == ["shop/gw-istio -> shop/way TCP 15008"]


def test_other_ways_to_a_backend_elsewhere_need_its_consent() -> None:
    """A Hostname backend or an ExternalName leads past the ReferenceGrant, not past the called namespace."""
    elsewhere = (listening("pay/api", 8080), service("pay/api", (80, 8080)))
    hostname = to_cart(name="api.pay.svc.cluster.local", kind="Hostname", group="networking.istio.io")
    alias = service("shop/alias", 80, type="ExternalName", external_name="api.pay.svc.cluster.local")
    for backend in (hostname, to_cart(name="alias")):
        flow = first_flow(RULE, route(backend), GATEWAY, alias, *elsewhere)
        assert (str(flow.destination), flow.agreement.ingress is not None) == ("Deployment pay/api", False)


def test_external_name_leads_where_istio_knows_its_host() -> None:
    """To the endpoints of a ServiceEntry, not to what DNS says; without one Istio connects to nobody."""
    alias = service("shop/alias", 443, type="ExternalName", external_name="api.example.com")
    backend = to_cart(name="alias", port=443)
    assert flows(RULE, route(backend), GATEWAY, alias) == []
    assert findings(RULE, route(backend), GATEWAY, alias) == [
        f"unknown-destination warning: HTTPRoute shop/cart: {FIELD}: Service shop/alias is another name for "
        "api.example.com, a host that Istio does not know, so it routes there nowhere; add a ServiceEntry "
        "for the host, or name a Service in full"
    ]
    entry = ServiceEntry(
        ref("ServiceEntry", "shop/api"),
        ("api.example.com",),
        ports=(ServiceEntryPort(443),),
        resolution="STATIC",
        endpoints=(WorkloadEndpoint("192.0.2.9"),),
    )
    assert flows(RULE, route(backend), GATEWAY, alias, entry) == ["shop/gw-istio -> 192.0.2.9/32 TCP 443"]


def test_granted_backend_has_consented() -> None:
    """A ReferenceGrant is the word of the called namespace."""
    assert first_flow(RULE, route(to_cart(namespace="pay")), *OTHER, granted()).agreement.ingress is not None
