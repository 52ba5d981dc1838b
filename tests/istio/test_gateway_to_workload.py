"""Gateways connect to what VirtualServices expose."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import (
    complaints,
    destination_rule,
    endpoint,
    endpoints,
    findings,
    flows,
    gateway,
    ingress_gateway,
    istiod,
    labelled,
    ref,
    route,
    service,
    service_entry,
    to,
    told,
    view,
    virtual_service,
)
from tests.values import deployment, namespace

from istio_netpol.istio.rules.gateway_to_workload import RULE
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Issue, Severity
from istio_netpol.model.istio_networking import Destination, Gateway, GatewayServer, ServiceEntryPort
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.workloads import ContainerPort
from istio_netpol.state.reads import object_read

PODS = ingress_gateway()
PUBLIC = gateway("istio-system/public", 80)
EDGE = (PODS, PUBLIC)
CART = deployment("shop/cart")
CART_SERVICE = service("shop/cart", ServicePort(80, 8080))
SHOP = (CART, CART_SERVICE)
FROM = "gateway-to-workload: Deployment istio-system/istio-ingressgateway ->"
OUTSIDE = "workload-to-external: Deployment istio-system/istio-ingressgateway ->"


def test_gateway_connects_to_the_pods_own_port() -> None:
    """The Service's 80 is translated to 8080 before a policy sees the packet."""
    exposed = virtual_service("shop/cart", to("cart", 80))
    assert told(RULE, exposed, view(exposed, EDGE, SHOP)) == [f"{FROM} Deployment shop/cart TCP 8080"]


def test_flow_says_who_asks_and_why() -> None:
    """The object is the VirtualService, the field its destination."""
    exposed = virtual_service("shop/cart", to("cart", 80))
    (flow,) = flows(RULE, exposed, view(exposed, EDGE, SHOP))
    assert flow.reason == (
        "VirtualService shop/cart routes what Gateway istio-system/public receives to Service shop/cart"
    )
    assert (flow.object, flow.field, flow.agreement.ingress is not None, flow.shared) == (
        exposed.ref,
        "spec.http[0].route[0].destination",
        True,
        False,
    )


@pytest.mark.parametrize("gateways", [(), ("mesh",)])
def test_sidecar_clients_need_no_gateway_flow(gateways: tuple[str, ...]) -> None:
    """Without gateways, or with `mesh`, the routes are those of sidecars, and nobody says which; where they
    lead nowhere, that is told."""
    exposed = virtual_service("shop/cart", to("nowhere", 80), gateways=gateways)
    mesh = view(exposed, EDGE, SHOP)
    assert flows(RULE, exposed, mesh) == []
    assert [finding.message for finding in findings(RULE, exposed, mesh)] == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.host: there is no Service or "
        "ServiceEntry with the host nowhere (nowhere.shop.svc.cluster.local); create it, or correct the host"
    ]


def test_gateways_beside_the_mesh_count() -> None:
    """`mesh` in the list does not take the gateways away."""
    exposed = virtual_service("shop/cart", to("cart", 80), gateways=("mesh", "istio-system/public"))
    assert len(flows(RULE, exposed, view(exposed, EDGE, SHOP))) == 1


def test_bare_gateway_is_of_the_own_namespace() -> None:
    """A name without a slash is resolved where the VirtualService lives."""
    exposed = virtual_service("shop/cart", to("cart", 80), gateways=("own",))
    mesh = view(exposed, PODS, gateway("shop/own", 80), SHOP)
    (flow,) = flows(RULE, exposed, mesh)
    assert "Gateway shop/own" in flow.reason


@pytest.mark.parametrize(
    ("host", "home"),
    [
        ("cart", "shop"),
        ("cart.shop.svc.cluster.local", "other"),
        ("CART.shop.svc.cluster.local.", "other"),
    ],
)
def test_host_names_a_service(host: str, home: str) -> None:
    """Short hosts resolve in the VirtualService's namespace, full ones name theirs."""
    exposed = virtual_service(f"{home}/cart", to(host, 80))
    assert told(RULE, exposed, view(exposed, EDGE, SHOP)) == [f"{FROM} Deployment shop/cart TCP 8080"]


@pytest.mark.parametrize("host", ["cart.shop", "cart.shop.svc"])
def test_host_that_only_dns_completes_is_told(host: str) -> None:
    """Istio answers 503 for such a destination: no flow is opened, and the author learns the right name."""
    exposed = virtual_service("shop/cart", to(host, 80))
    mesh = view(exposed, EDGE, SHOP)
    assert flows(RULE, exposed, mesh) == []
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.host: Istio takes a host with a dot for "
        f"one in full, so {host} stands for nothing; write cart.shop.svc.cluster.local"
    ]


@pytest.mark.parametrize(
    ("written", "home"),
    [("./own", "shop"), ("own.infra", "infra"), ("own.infra.svc.cluster.local", "infra")],
)
def test_gateway_names_that_istio_accepts(written: str, home: str) -> None:
    """`./name` is of the own namespace; the old dotted names mean another one."""
    exposed = virtual_service("shop/cart", to("cart", 80), gateways=(written,))
    (flow,) = flows(RULE, exposed, view(exposed, PODS, gateway(f"{home}/own", 80), SHOP))
    assert f"Gateway {home}/own " in flow.reason


def taking(*hosts: str) -> Gateway:
    """The public Gateway, whose one server takes these hosts."""
    return replace(PUBLIC, servers=(GatewayServer(80, "HTTP", hosts=hosts),))


@pytest.mark.parametrize(
    "hosts",
    [
        ("www.example.com",),
        ("other.example.org", "*.example.com"),
        ("*",),
        ("*/*",),
        ("shop/*",),
        ("shop/www.example.com",),
    ],
)
def test_gateway_takes_the_hosts_that_it_lists(hosts: tuple[str, ...]) -> None:
    """A server's host may have a wildcard and name the namespace of the VirtualService."""
    exposed = virtual_service("shop/cart", to("cart", 80))
    mesh = view(exposed, PODS, taking(*hosts), SHOP)
    assert told(RULE, exposed, mesh) == [f"{FROM} Deployment shop/cart TCP 8080"]


@pytest.mark.parametrize("host", ["bank/*", "./*", "shop/*.example.org", "example.com", "ww.example.com"])
def test_gateway_that_does_not_take_the_virtual_service(host: str) -> None:
    """Whoever binds to a Gateway that is not meant for his namespace or hosts opens nothing."""
    exposed = virtual_service("shop/cart", to("cart", 80))
    mesh = view(exposed, PODS, taking(host), SHOP)
    assert flows(RULE, exposed, mesh) == []
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/cart: spec.hosts: Gateway istio-system/public takes none of www.example.com "
        f"from namespace shop, its hosts are {host}; correct the hosts on one side"
    ]


def test_own_namespace_in_the_hosts_of_a_gateway() -> None:
    """`./host` lets VirtualServices of the Gateway's own namespace bind."""
    own = replace(gateway("shop/own", 80), servers=(GatewayServer(80, "HTTP", hosts=("./*",)),))
    exposed = virtual_service("shop/cart", to("cart", 80), gateways=("own",))
    assert len(flows(RULE, exposed, view(exposed, PODS, own, SHOP))) == 1


def test_only_servers_that_take_the_host_lend_their_port() -> None:
    """A destination without a port takes that of the listener, of a server that serves the host."""
    both = (
        GatewayServer(8443, "HTTP", hosts=("*.example.org",)),
        GatewayServer(80, "HTTP", hosts=("*.example.com",)),
    )
    several = service("shop/cart", ServicePort(80, 8080), ServicePort(8443, 9443))
    exposed = virtual_service("shop/cart", to("cart"))
    mesh = view(exposed, PODS, replace(PUBLIC, servers=both), CART, several)
    assert told(RULE, exposed, mesh) == [f"{FROM} Deployment shop/cart TCP 8080"]


def test_every_destination_counts() -> None:
    """Weights, mirrors, and tcp and tls routes are destinations alike."""
    exposed = virtual_service(
        "shop/cart", route(to("cart", 80), to("cart-v2", 80)), to("mirror", 9000, at=1), to("db", 5432, at=2)
    )
    others = tuple(
        part
        for name, port in (("cart-v2", 80), ("mirror", 9000), ("db", 5432))
        for part in (deployment(f"shop/{name}"), service(f"shop/{name}", port))
    )
    assert told(RULE, exposed, view(exposed, EDGE, SHOP, others)) == [
        f"{FROM} Deployment shop/cart TCP 8080",
        f"{FROM} Deployment shop/cart-v2 TCP 80",
        f"{FROM} Deployment shop/db TCP 5432",
        f"{FROM} Deployment shop/mirror TCP 9000",
    ]


def test_service_may_select_several_workloads() -> None:
    """A named target port is resolved pod by pod, and may differ."""
    first = deployment("shop/v1", ContainerPort(8080, "http"), app="cart")
    second = deployment("shop/v2", ContainerPort(9090, "http"), app="cart")
    exposed = virtual_service("shop/cart", to("cart", 80))
    mesh = view(exposed, EDGE, first, second, service("shop/cart", ServicePort(80, "http")))
    assert told(RULE, exposed, mesh) == [
        f"{FROM} Deployment shop/v1 TCP 8080",
        f"{FROM} Deployment shop/v2 TCP 9090",
    ]


def test_target_port_that_a_pod_lacks_is_told() -> None:
    """The pod with the name is reached, the one without it is not."""
    first = deployment("shop/v1", ContainerPort(8080, "http"), app="cart")
    second = deployment("shop/v2", app="cart")
    exposed = virtual_service("shop/cart", to("cart", 80))
    mesh = view(exposed, EDGE, first, second, service("shop/cart", ServicePort(80, "http")))
    assert told(RULE, exposed, mesh) == [f"{FROM} Deployment shop/v1 TCP 8080"]
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.host: no container of "
        "Deployment shop/v2 declares the target port 'http' of Service shop/cart; "
        "name the container port, or use its number"
    ]


def test_each_gateway_of_the_list_connects() -> None:
    """Two Gateways, two places to open."""
    second = replace(labelled("edge/gw", {"istio": "edge"}), has_proxy=True)
    exposed = virtual_service("shop/cart", to("cart", 80), gateways=("istio-system/public", "edge/second"))
    mesh = view(exposed, EDGE, second, gateway("edge/second", 80, istio="edge"), SHOP)
    assert [str(flow.source) for flow in flows(RULE, exposed, mesh)] == [
        "Deployment istio-system/istio-ingressgateway",
        "Deployment edge/gw",
    ]


@pytest.mark.parametrize(
    ("matched", "expected"),
    [(("mesh",), 0), (("istio-system/public",), 1), (("mesh", "istio-system/public"), 1), (("other",), 0)],
)
def test_matches_narrow_the_gateways(matched: tuple[str, ...], expected: int) -> None:
    """A gateway follows a route whose matches name it, if the VirtualService itself names it too."""
    exposed = virtual_service(
        "shop/cart", route(to("cart", 80), gateways=matched), gateways=("istio-system/public", "mesh")
    )
    assert len(flows(RULE, exposed, view(exposed, EDGE, gateway("shop/other", 80), SHOP))) == expected


def test_match_adds_no_gateway() -> None:
    """istiod looks for a gateway's VirtualServices by their own list."""
    exposed = virtual_service(
        "shop/cart", route(to("cart", 80), gateways=("istio-system/public",)), gateways=()
    )
    assert flows(RULE, exposed, view(exposed, EDGE, SHOP)) == []


@pytest.mark.parametrize(
    ("export_to", "expected"), [((), 1), (("*",), 1), ((".",), 0), (("istio-system",), 1), (("other",), 0)]
)
def test_gateways_see_what_is_exported_to_them(export_to: tuple[str, ...], expected: int) -> None:
    """A VirtualService that stays in its namespace is no route of a gateway elsewhere."""
    exposed = virtual_service("shop/cart", to("cart", 80), export_to=export_to)
    assert len(flows(RULE, exposed, view(exposed, EDGE, SHOP))) == expected


def test_delegate_is_followed() -> None:
    """The delegate's hosts resolve in its own namespace, and its own namespace agrees."""
    root = virtual_service("edge/root", route(delegate=("shop", "cart")))
    delegate = virtual_service("shop/cart", to("cart", 80), gateways=())
    (flow,) = flows(RULE, root, view(root, delegate, EDGE, SHOP))
    assert (str(flow.destination), flow.port, flow.field, flow.agreement.ingress is not None) == (
        "Deployment shop/cart",
        8080,
        "",
        True,
    )
    assert flow.object == root.ref
    assert flow.reason == (
        "VirtualService edge/root through its delegate VirtualService shop/cart routes what Gateway "
        "istio-system/public receives to Service shop/cart"
    )


def test_delegate_without_namespace_is_of_the_own_one() -> None:
    """The root's namespace is the default."""
    root = virtual_service("shop/root", route(delegate=("", "cart")))
    delegate = virtual_service("shop/cart", to("cart", 80), gateways=())
    assert len(flows(RULE, root, view(root, delegate, EDGE, SHOP))) == 1


def test_unknown_delegate_is_told() -> None:
    """A route that leads nowhere is a mistake."""
    root = virtual_service("edge/root", route(delegate=("shop", "cart")))
    assert complaints(RULE, root, view(root, EDGE)) == [
        "VirtualService edge/root: spec.http.delegate: there is no VirtualService shop/cart to delegate to; "
        "create it, or correct the name"
    ]


def test_subset_narrows_the_pods() -> None:
    """A DestinationRule names the pods that a route means."""
    first, second = (
        deployment("shop/v1", app="cart", version="v1"),
        deployment("shop/v2", app="cart", version="v2"),
    )
    exposed = virtual_service("shop/cart", to("cart", 80, "second"))
    rule = destination_rule("shop/cart", "cart", first={"version": "v1"}, second={"version": "v2"})
    mesh = view(exposed, EDGE, first, second, CART_SERVICE, rule)
    assert told(RULE, exposed, mesh) == [f"{FROM} Deployment shop/v2 TCP 8080"]


def test_subset_that_nobody_defines_is_told() -> None:
    """Envoy has no cluster for it."""
    exposed = virtual_service("shop/cart", to("cart", 80, "v2"))
    mesh = view(exposed, EDGE, SHOP)
    assert flows(RULE, exposed, mesh) == []
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.subset: no DestinationRule "
        "defines subset v2 of "
        "Service shop/cart; create it, or correct the name"
    ]


def test_subset_without_pods_is_told() -> None:
    """The labels of a subset may match nothing."""
    exposed = virtual_service("shop/cart", to("cart", 80, "v2"))
    rule = destination_rule("shop/cart", "cart", v2={"version": "v2"})
    assert complaints(RULE, exposed, view(exposed, EDGE, SHOP, rule)) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.host: subset v2 of Service "
        "shop/cart selects no "
        "pods of the input; add its workload, or correct the selector"
    ]


def test_unknown_host_is_told() -> None:
    """The message names host, full name, field and remedy."""
    exposed = virtual_service("shop/cart", to("carts", 80))
    mesh = view(exposed, EDGE, SHOP)
    (finding,) = findings(RULE, exposed, mesh)
    assert finding.message == (
        "VirtualService shop/cart: spec.http[0].route[0].destination.host: there is no Service or "
        "ServiceEntry with the "
        "host carts (carts.shop.svc.cluster.local); create it, or correct the host"
    )
    assert (finding.rule, finding.severity, finding.object, finding.field) == (
        Issue.UNKNOWN_DESTINATION,
        Severity.WARNING,
        exposed.ref,
        "spec.http[0].route[0].destination.host",
    )


def test_unknown_external_host_is_told() -> None:
    """A host outside the cluster needs a ServiceEntry."""
    exposed = virtual_service("shop/cart", Destination("api.example.com", 443))
    assert complaints(RULE, exposed, view(exposed, EDGE)) == [
        "VirtualService shop/cart: host: there is no Service or ServiceEntry with the host api.example.com; "
        "create it, or correct the host"
    ]


def test_missing_destination_is_told_once() -> None:
    """Several gateways find the same destination missing."""
    second = gateway("istio-system/second", 443)
    exposed = virtual_service(
        "shop/cart", to("carts", 80), gateways=("istio-system/public", "istio-system/second")
    )
    assert len(complaints(RULE, exposed, view(exposed, EDGE, second))) == 1


def test_service_without_pods_is_told() -> None:
    """Nobody is there to be connected to, yet."""
    exposed = virtual_service("shop/cart", to("cart", 80))
    assert complaints(RULE, exposed, view(exposed, EDGE, CART_SERVICE)) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.host: Service shop/cart selects "
        "no pods of the input; "
        "add its workload, or correct the selector"
    ]


def test_unknown_port_is_told() -> None:
    """The container's port is not the Service's."""
    exposed = virtual_service("shop/cart", to("cart", 8080))
    assert complaints(RULE, exposed, view(exposed, EDGE, SHOP)) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.port.number: Service shop/cart "
        "has no port 8080; "
        "its ports: 80"
    ]


def test_only_port_needs_no_name() -> None:
    """A Service with one port leaves no choice."""
    exposed = virtual_service("shop/cart", to("cart"))
    assert told(RULE, exposed, view(exposed, EDGE, SHOP)) == [f"{FROM} Deployment shop/cart TCP 8080"]


def test_same_port_over_two_protocols_is_one_port() -> None:
    """Routes go over TCP; the UDP port of the same number is something else."""
    both = service("shop/cart", ServicePort(80, 8080), ServicePort(80, 8081, "quic", Protocol.UDP))
    exposed = virtual_service("shop/cart", to("cart"))
    assert told(RULE, exposed, view(exposed, EDGE, CART, both)) == [f"{FROM} Deployment shop/cart TCP 8080"]


def test_listener_port_decides_among_several() -> None:
    """istiod takes the port on which the gateway received the request."""
    many = service("shop/cart", ServicePort(80, 8080), ServicePort(81, 8081))
    exposed = virtual_service("shop/cart", to("cart"))
    assert told(RULE, exposed, view(exposed, EDGE, CART, many)) == [f"{FROM} Deployment shop/cart TCP 8080"]


def test_undecided_port_is_told() -> None:
    """None of the Service's ports is one of the gateway's."""
    many = service("shop/cart", ServicePort(8000, 8000), ServicePort(9000, 9000))
    exposed = virtual_service("shop/cart", to("cart"))
    assert complaints(RULE, exposed, view(exposed, EDGE, CART, many)) == [
        "VirtualService shop/cart: spec.http[0].route[0].destination.port: no port is named, and "
        "Service shop/cart has "
        "several or none; name one of its ports: 8000, 9000"
    ]


def test_unknown_gateway_is_told() -> None:
    """A Gateway of a namespace that was read does not exist."""
    exposed = virtual_service("shop/cart", to("cart", 80), gateways=("public",))
    mesh = view(exposed, EDGE, SHOP)
    assert flows(RULE, exposed, mesh) == []
    (finding,) = findings(RULE, exposed, mesh)
    assert finding.message == (
        "VirtualService shop/cart: spec.gateways: there is no Gateway shop/public; create it, or "
        "correct the name"
    )
    assert finding.rule is Issue.UNKNOWN_DESTINATION


def test_gateway_of_an_unread_namespace_is_taken_for_the_usual_one() -> None:
    """Who checks an app alone learns what the mesh's ingress gateway will need, and that it was assumed."""
    exposed = virtual_service("shop/cart", to("cart"), gateways=("kyma-system/kyma-gateway",))
    mesh = view(exposed, SHOP)
    (flow,) = flows(RULE, exposed, mesh)
    assert str(flow.source) == "Deployment istio-system/istio-ingressgateway (assumed)"
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/cart: spec.gateways: there is no Gateway kyma-system/kyma-gateway; "
        "create it, or correct the name"
    ]
    assert len(mesh.assumptions) == 1


def test_gateway_of_an_unread_namespace_is_unknown_beside_real_ones() -> None:
    """A cluster with gateways shows that this one is missing."""
    exposed = virtual_service("shop/cart", to("cart"), gateways=("kyma-system/kyma-gateway",))
    assert flows(RULE, exposed, view(exposed, PODS, SHOP)) == []


def test_gateway_without_pods_connects_to_nobody() -> None:
    """The Gateway itself is told of; its VirtualServices need nothing."""
    exposed = virtual_service("shop/cart", to("nowhere"), gateways=("istio-system/lost",))
    mesh = view(exposed, istiod(), gateway("istio-system/lost", 80, app="lost"), SHOP)
    assert (flows(RULE, exposed, mesh), findings(RULE, exposed, mesh)) == ([], [])


def test_service_without_selector_is_its_endpoints() -> None:
    """Addresses outside the cluster, on the endpoint's port."""
    outside = Service(ref("v1", "Service", "shop/db"), (ServicePort(5432, 5432, "pg"),))
    slices = endpoints("shop/db", "192.0.2.17", port=15432, name="pg")
    exposed = virtual_service("shop/db", to("db", 5432))
    assert told(RULE, exposed, view(exposed, EDGE, outside, slices)) == [f"{OUTSIDE} 192.0.2.17/32 TCP 15432"]


def test_service_without_endpoints_is_told() -> None:
    """A Service without a selector needs somebody who keeps its endpoints."""
    outside = Service(ref("v1", "Service", "shop/db"), (ServicePort(5432, 5432, "pg"),))
    exposed = virtual_service("shop/db", to("db", 5432))
    assert complaints(RULE, exposed, view(exposed, EDGE, outside)) == [
        "VirtualService shop/db: spec.http[0].route[0].destination.host: Service shop/db has no "
        "selector, and the input "
        "holds no endpoints for it; add them"
    ]


def external_name(name: str, *ports: int) -> Service:
    numbers = tuple(ServicePort(port, port) for port in ports)
    return Service(ref("v1", "Service", "shop/pay"), numbers, None, "ExternalName", external_name=name)


def test_external_name_is_another_name() -> None:
    """The route leads where the Service of the other name leads, through further names too."""
    exposed = virtual_service("shop/pay", to("pay", 80))
    over = replace(external_name("pay.shop.svc.cluster.local", 80), ref=ref("v1", "Service", "shop/over"))
    way = virtual_service("shop/over", to("over", 80))
    alias = external_name("cart.shop.svc.cluster.local")
    for found in (alias, external_name("cart.shop.svc.cluster.local.", 80)):
        expected = [f"{FROM} Deployment shop/cart TCP 8080"]
        assert told(RULE, exposed, view(exposed, EDGE, SHOP, found)) == expected
        assert told(RULE, way, view(way, EDGE, SHOP, found, over)) == expected


def test_external_name_of_a_service_entry_leads_to_its_endpoints() -> None:
    """Not to what DNS says of the host: Istio knows better."""
    exposed = virtual_service("shop/pay", to("pay", 443))
    entry = service_entry(
        "shop/pay", "pay.example.com", resolution="STATIC", endpoints=(endpoint("192.0.2.9"),)
    )
    alias = external_name("pay.example.com", 443)
    assert told(RULE, exposed, view(exposed, EDGE, SHOP, alias, entry)) == [f"{OUTSIDE} 192.0.2.9/32 TCP 443"]


@pytest.mark.parametrize(
    "name",
    [
        "pay.example.com",
        "192.0.2.9",
        "cart.shop",
        "pay.shop.svc.cluster.local",
        "gone.shop.svc.cluster.local",
    ],
)
def test_external_name_that_istio_does_not_know_leads_nowhere(name: str) -> None:
    """Such a route answers 503 and connects to nobody, so nothing is opened for it; rings end as well."""
    exposed = virtual_service("shop/pay", to("pay", 80))
    wildcard = service_entry("shop/any", "*.example.com")
    mesh = view(exposed, EDGE, SHOP, external_name(name, 80), wildcard)
    assert flows(RULE, exposed, mesh) == []
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/pay: spec.http[0].route[0].destination.host: Service shop/pay is another name "
        f"for {name}, a host that Istio does not know, so it routes there nowhere; add a ServiceEntry for "
        "the host, or name a Service in full"
    ]


def test_external_name_of_a_service_without_the_port_is_told() -> None:
    """The other name's ports count."""
    exposed = virtual_service("shop/pay", to("pay", 81))
    mesh = view(exposed, EDGE, SHOP, external_name("cart.shop.svc.cluster.local"))
    assert complaints(RULE, exposed, mesh) == [
        "VirtualService shop/pay: spec.http[0].route[0].destination.host: Service shop/pay is another name "
        "for Service shop/cart, behind which nothing answers on 81"
    ]


def test_service_entry_is_outside() -> None:
    """An egress gateway connects to the host that the ServiceEntry declares."""
    exposed = virtual_service("shop/api", to("api.example.com", 443))
    entry = service_entry("shop/api", "api.example.com")
    (flow,) = flows(RULE, exposed, view(exposed, EDGE, entry))
    assert (flow.kind, str(flow.destination), flow.port, flow.agreement.ingress is not None) == (
        "workload-to-external",
        "api.example.com",
        443,
        True,
    )


def test_service_entry_port_may_be_translated() -> None:
    """targetPort is the port on the wire."""
    entry = service_entry(
        "shop/api", "api.example.com", numbered=(ServiceEntryPort(80, "HTTP", "http", 8443),)
    )
    exposed = virtual_service("shop/api", to("api.example.com"))
    assert told(RULE, exposed, view(exposed, EDGE, entry)) == [f"{OUTSIDE} api.example.com TCP 8443"]


def test_service_entry_may_be_hidden() -> None:
    """What a gateway sees is what is exported to its namespace."""
    exposed = virtual_service("shop/api", to("api.example.com", 443))
    hidden = service_entry("shop/api", "api.example.com", export_to=(".",))
    assert flows(RULE, exposed, view(exposed, EDGE, hidden)) == []


def test_service_entry_may_mean_pods() -> None:
    """Hosts may be served inside the cluster."""
    entry = service_entry(
        "shop/api", "api.example.com", workload_selector={"app": "cart"}, resolution="STATIC"
    )
    exposed = virtual_service("shop/api", to("api.example.com", 443))
    assert told(RULE, exposed, view(exposed, EDGE, CART, entry)) == [f"{FROM} Deployment shop/cart TCP 443"]


def test_service_entry_without_anybody_is_told() -> None:
    """A wildcard can't be looked up."""
    entry = service_entry("shop/api", "*.example.com")
    exposed = virtual_service("shop/api", to("api.example.com", 443))
    assert complaints(RULE, exposed, view(exposed, EDGE, entry)) == [
        "VirtualService shop/api: spec.http[0].route[0].destination.host: ServiceEntry shop/api "
        "names nothing that can be "
        "connected to"
    ]


def test_service_entry_endpoints_count() -> None:
    """STATIC endpoints with ports of their own."""
    entry = service_entry(
        "shop/api",
        "api.example.com",
        numbered=(ServiceEntryPort(443, "TLS", "tls"),),
        resolution="STATIC",
        endpoints=(endpoint("192.0.2.1"), endpoint("192.0.2.2", tls=8443)),
    )
    exposed = virtual_service("shop/api", to("api.example.com", 443))
    assert told(RULE, exposed, view(exposed, EDGE, entry)) == [
        f"{OUTSIDE} 192.0.2.1/32 TCP 443",
        f"{OUTSIDE} 192.0.2.2/32 TCP 8443",
    ]


def test_other_namespaces_have_not_agreed() -> None:
    """A VirtualService of one namespace does not open another one."""
    exposed = virtual_service("rival/cart", to("cart.shop.svc.cluster.local", 80))
    (flow,) = flows(RULE, exposed, view(exposed, EDGE, SHOP))
    assert flow.agreement.ingress is None


def test_ambient_pods_are_reached_through_the_tunnel() -> None:
    """Policies see 15008 where ztunnel carries the connection."""
    exposed = virtual_service("shop/cart", to("cart", 80))
    ambient = namespace("shop", **{"istio.io/dataplane-mode": "ambient"})
    assert told(RULE, exposed, view(exposed, EDGE, SHOP, ambient)) == [
        f"{FROM} Deployment shop/cart TCP 15008"
    ]


def test_what_was_looked_up_is_noted() -> None:
    """A change of the Gateway or the Service concerns the VirtualService."""
    exposed = virtual_service("shop/cart", to("cart", 80), to("api.example.com", 443))
    mesh = view(exposed, EDGE, SHOP)
    _, reads = mesh.noting(lambda: list(RULE.outcomes(exposed, mesh)))
    assert reads >= {
        object_read(Gateway, "istio-system", "Gateway", "public"),
        object_read(Service, "shop", "Service", "cart"),
    }
    assert "api.example.com" in {read.subject[0] for read in reads if read.of == "Hosts._entry"}
