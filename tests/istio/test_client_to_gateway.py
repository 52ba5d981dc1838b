"""Clients reach the ports that a Gateway opens."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import (
    INGRESS_LABELS,
    NETWORKING,
    complaints,
    findings,
    flows,
    gateway,
    ingress_gateway,
    istiod,
    labelled,
    ref,
    service,
    told,
    view,
)

from istio_netpol.istio.rules.client_to_gateway import RULE
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.istio_networking import Gateway
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.settings import MeshSettings, Settings
from istio_netpol.model.workloads import ContainerPort

PODS = ingress_gateway()
INGRESS = "istio-system/istio-ingressgateway"


def ingress_service(*ports: ServicePort) -> Service:
    return Service(ref("v1", "Service", INGRESS), ports, INGRESS_LABELS, "LoadBalancer")


def ports_of(mesh_objects: tuple[object, ...], opened: Gateway) -> list[int]:
    return [flow.port for flow in flows(RULE, opened, view(opened, *mesh_objects))]


def test_anybody_reaches_the_port_behind_the_service() -> None:
    """The load balancer's 80 and 443 arrive at the pods' 8080 and 8443."""
    public = gateway("shop/public", 80, 443)
    behind = ingress_service(ServicePort(80, 8080), ServicePort(443, 8443))
    expected = [
        f"client-to-gateway: clients of the gateway -> Deployment {INGRESS} TCP 8080",
        f"client-to-gateway: clients of the gateway -> Deployment {INGRESS} TCP 8443",
    ]
    assert told(RULE, public, view(public, PODS, behind)) == expected


def test_flow_names_the_server_that_opens_the_port() -> None:
    """The object is the Gateway, the field its server's port."""
    public = gateway("shop/public", 80, 443)
    found = flows(RULE, public, view(public, PODS))[1]
    assert (found.object, found.field) == (public.ref, "spec.servers[1].port.number")
    assert found.reason == "Gateway shop/public opens port 443 for its clients"
    assert isinstance(found.source, AnyPeer)


def test_chart_without_translation_listens_on_the_service_ports() -> None:
    """The `gateway` chart's pods listen on 80 and 443 themselves."""
    behind = ingress_service(ServicePort(80, 80), ServicePort(443, 443))
    assert ports_of((PODS, behind), gateway("shop/public", 80, 443)) == [80, 443]


def test_named_target_port_counts() -> None:
    """The container port of that name is the one on the wire."""
    pods = replace(PODS, ports=(ContainerPort(9080, "http2"),))
    behind = ingress_service(ServicePort(80, "http2"))
    assert ports_of((pods, behind), gateway("shop/public", 80)) == [9080]


def test_port_that_no_service_has_is_used_as_it_is() -> None:
    """istiod then opens the listener on the number that the Gateway says."""
    behind = ingress_service(ServicePort(443, 8443))
    assert ports_of((PODS, behind), gateway("shop/public", 80, 15443)) == [80, 15443]


def test_classic_ports_are_assumed_without_a_service() -> None:
    """An input without the gateway's Service: the classic charts translate 80 and 443."""
    assert ports_of((PODS,), gateway("shop/public", 80, 443, 8080, 9000)) == [8080, 8443, 8080, 9000]


@pytest.mark.parametrize(("declared", "expected"), [(15090, 80), (8080, 8080)])
def test_gateways_by_injection_translate_nothing(declared: int, expected: int) -> None:
    """Without its Service the `gateway` chart's Deployment is known by its template; its own ports count."""
    pods = replace(
        labelled(INGRESS, INGRESS_LABELS, ContainerPort(declared)),
        annotations={"inject.istio.io/templates": "gateway"},
    )
    assert ports_of((pods,), gateway("shop/public", 80)) == [expected]


def test_istiod_says_that_selectors_are_scoped() -> None:
    """The switch is read from istiod's own Deployment."""
    scoping = replace(istiod(), switches={"PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "true"})
    public = gateway("edge/public", 80)
    mesh = view(public, PODS, ingress_gateway("edge/second"), scoping)
    assert [str(flow.destination) for flow in flows(RULE, public, mesh)] == ["Deployment edge/second"]


def test_declared_port_beats_the_classic_one() -> None:
    """Pods that declare port 80 listen on it."""
    pods = replace(PODS, ports=(ContainerPort(80),))
    assert ports_of((pods,), gateway("shop/public", 80)) == [80]


def test_service_of_other_pods_says_nothing() -> None:
    """Only Services that select the gateway's pods translate its ports."""
    other = service("istio-system/other", ServicePort(80, 1234), app="other")
    assert ports_of((PODS, other), gateway("shop/public", 80)) == [8080]


def test_selector_matches_in_any_namespace() -> None:
    """All gateways with the labels serve it that are its namespace's own, or where administrators write: a
    tenant's pods are no gateway for others because they say so."""
    pods = (PODS, ingress_gateway("istio-ingress/second"), ingress_gateway("edge/forged"))
    public = gateway("shop/public", 80)
    found = flows(RULE, public, view(public, *pods))
    assert [str(flow.destination) for flow in found] == [
        "Deployment istio-ingress/second",
        f"Deployment {INGRESS}",
    ]


def test_selector_may_be_scoped_to_the_namespace() -> None:
    """With PILOT_SCOPE_GATEWAY_TO_NAMESPACE, pods of other namespaces do not serve the Gateway."""
    settings = Settings(mesh=MeshSettings(scope_gateway_to_namespace=True))
    public = gateway("edge/public", 80)
    mesh = view(public, PODS, ingress_gateway("edge/second"), settings=settings)
    assert [str(flow.destination) for flow in flows(RULE, public, mesh)] == ["Deployment edge/second"]


@pytest.mark.parametrize(("scoped", "expected"), [(False, 2), (True, 1)])
def test_empty_selector_means_every_gateway(scoped: bool, expected: int) -> None:
    """Without a selector all gateway pods serve the Gateway, within its scope."""
    settings = Settings(mesh=MeshSettings(scope_gateway_to_namespace=scoped))
    public = Gateway(ref(NETWORKING, "Gateway", "edge/public"), {}, gateway("edge/public", 80).servers)
    others = (labelled("shop/web", {"app": "web"}), ingress_gateway("edge/second"))
    assert len(flows(RULE, public, view(public, PODS, *others, settings=settings))) == expected


def test_egress_gateway_has_no_clients_outside() -> None:
    """Its clients are in the mesh, and what sends them there says so."""
    pods = labelled("istio-system/istio-egressgateway", {"istio": "egressgateway"})
    egress = gateway("shop/egress", 443, istio="egressgateway")
    mesh = view(egress, pods)
    assert (flows(RULE, egress, mesh), findings(RULE, egress, mesh)) == ([], [])


def test_stand_in_serves_the_usual_selector() -> None:
    """Where the input holds no gateway at all, the classic one is assumed."""
    public = gateway("shop/public", 80, istio="ingressgateway")
    mesh = view(public)
    assert told(RULE, public, mesh) == [
        f"client-to-gateway: clients of the gateway -> Deployment {INGRESS} (assumed) TCP 8080"
    ]
    assert list(map(str, mesh.assumptions)) == [
        "the input holds no ingress gateway: assumed an ingress gateway in namespace istio-system with "
        "labels app=istio-ingressgateway, istio=ingressgateway, which nothing isolates"
    ]


def test_stand_in_takes_any_selector_where_nothing_of_the_mesh_is_read() -> None:
    """Who checks an app alone may have named the gateway's labels as they like."""
    public = gateway("shop/public", 80, istio="ingress")
    (flow,) = flows(RULE, public, view(public))
    assert flow.destination.workload.labels == {"istio": "ingress"}  # type: ignore[union-attr]
    assert flow.destination.workload.namespace == "shop"  # type: ignore[union-attr]


def test_settings_say_where_gateways_run() -> None:
    """The operator knows better than the Gateway's own namespace."""
    settings = Settings(mesh=MeshSettings(gateway_namespace="ingress"))
    for selector in ("ingress", "ingressgateway"):
        public = gateway("shop/public", 80, istio=selector)
        (flow,) = flows(RULE, public, view(public, settings=settings))
        assert flow.destination.workload.namespace == "ingress"  # type: ignore[union-attr]


@pytest.mark.parametrize("selector", [{"istio": "egressgateway"}, {"istio": "egress"}, {"app": "my-egress"}])
def test_egress_gateway_is_not_assumed(selector: dict[str, str]) -> None:
    """No mesh has one unless somebody installs it: where it is absent, nobody serves its Gateway."""
    out = gateway("shop/out", 443, **selector)
    (finding,) = findings(RULE, out, view(out))
    assert finding.rule is Issue.UNKNOWN_DESTINATION


@pytest.mark.parametrize("rest", [(istiod(),), (PODS,)])
def test_selector_without_pods_is_told(rest: tuple[object, ...]) -> None:
    """A cluster that was read shows that nobody serves the Gateway."""
    public = gateway("shop/public", 80, istio="typo", app="gw")
    mesh = view(public, *rest)
    assert complaints(RULE, public, mesh) == [
        "Gateway shop/public: spec.selector: no gateway pods have the labels app=gw, istio=typo, neither in "
        "namespace shop nor where only administrators write (admission.trustedNamespaces), so nobody serves "
        "this gateway; correct the selector, add the gateway's Deployment, or have its namespace trusted"
    ]
    assert findings(RULE, public, mesh)[0].field == "spec.selector"


def test_gateway_without_servers_opens_nothing() -> None:
    """Ports come from servers."""
    closed = Gateway(ref(NETWORKING, "Gateway", "shop/public"), INGRESS_LABELS)
    assert flows(RULE, closed, view(closed, PODS)) == []


KUBERNETES_GATEWAY = ref("gateway.networking.k8s.io/v1", "Gateway", "edge/public")


def kubernetes_gateway(*listeners: Listener, class_name: str = "istio", at: str = "") -> KubernetesGateway:
    return KubernetesGateway(KUBERNETES_GATEWAY, class_name, listeners, (at,) if at else ())


def test_listeners_are_the_pods_own_ports() -> None:
    """istiod deploys pods that listen on the listener's port itself."""
    public = kubernetes_gateway(Listener("http", 80, "HTTP"), Listener("tcp", 9000, "TCP"))
    assert told(RULE, public, view(public)) == [
        "client-to-gateway: clients of the gateway -> Deployment edge/public-istio TCP 80",
        "client-to-gateway: clients of the gateway -> Deployment edge/public-istio TCP 9000",
    ]
    assert flows(RULE, public, view(public))[1].field == "spec.listeners[1].port"


def test_udp_listeners_open_nothing() -> None:
    """Istio serves no UDP, so a policy for it would admit packets that nobody answers."""
    public = kubernetes_gateway(Listener("dns", 53, "UDP"))
    assert told(RULE, public, view(public)) == []


def test_deployed_pods_are_found_by_the_gateways_name() -> None:
    """The label of the older name counts as well."""
    public = kubernetes_gateway(Listener("http", 80, "HTTP"))
    for label in ("gateway.networking.k8s.io/gateway-name", "istio.io/gateway-name"):
        pods = labelled("edge/deployed", {label: "public"})
        assert [str(flow.destination) for flow in flows(RULE, public, view(public, pods))] == [
            "Deployment edge/deployed"
        ]


@pytest.mark.parametrize(
    "closed",
    [
        kubernetes_gateway(Listener("mesh", 15008, "HBONE"), class_name="istio-waypoint"),
        kubernetes_gateway(Listener("http", 80, "HTTP"), class_name="istio-remote", at="far.example.com"),
    ],
)
def test_waypoints_and_other_controllers_have_no_clients_here(closed: KubernetesGateway) -> None:
    """ztunnels and other controllers' rules know theirs."""
    mesh = view(closed)
    assert (flows(RULE, closed, mesh), findings(RULE, closed, mesh)) == ([], [])


def test_other_networks_reach_an_east_west_gateway_through_its_tunnels() -> None:
    """Its port is the tunnel's, and its clients are outside."""
    doors = kubernetes_gateway(Listener("mesh", 15008, "HBONE"), class_name="istio-east-west")
    assert told(RULE, doors, view(doors)) == [
        f"client-to-gateway: clients of the gateway -> Deployment {doors.ref.namespace}/public TCP 15008"
    ]


def test_address_binds_the_listeners_to_a_service() -> None:
    """A Hostname address means pods that somebody else deployed, behind the ports of their Service."""
    public = kubernetes_gateway(
        Listener("http", 80, "HTTP"), at="istio-ingressgateway.istio-system.svc.cluster.local"
    )
    behind = ingress_service(ServicePort(80, 8080))
    assert told(RULE, public, view(public, PODS, behind)) == [
        f"client-to-gateway: clients of the gateway -> Deployment {INGRESS} TCP 8080"
    ]


def test_address_of_an_unread_gateway_means_the_stand_in() -> None:
    """The classic Service in the mesh's own namespace need not be part of the input."""
    public = kubernetes_gateway(Listener("http", 80, "HTTP"), at="istio-ingressgateway.istio-system.svc")
    mesh = view(public)
    (flow,) = flows(RULE, public, mesh)
    assert mesh.is_stand_in(flow.destination.workload)  # type: ignore[union-attr]


@pytest.mark.parametrize(("host", "rest"), [("gw.edge.svc", ()), ("istio-gw.istio-system.svc", (PODS,))])
def test_unknown_address_is_told(host: str, rest: tuple[object, ...]) -> None:
    """A host that names no Service leaves the Gateway without pods."""
    public = kubernetes_gateway(Listener("http", 80, "HTTP"), at=host)
    mesh = view(public, *rest)
    assert flows(RULE, public, mesh) == []
    assert complaints(RULE, public, mesh) == [
        f"Gateway edge/public: spec.addresses[0]: there is no Service with the host {host}; "
        "create it, or correct the address"
    ]


def test_service_without_selector_has_no_gateway_pods() -> None:
    """Endpoints that somebody else keeps are no pods that listen."""
    public = kubernetes_gateway(Listener("http", 80, "HTTP"), at="gw.edge.svc")
    headless = Service(ref("v1", "Service", "edge/gw"), (ServicePort(80, 80),))
    assert flows(RULE, public, view(public, headless)) == []
