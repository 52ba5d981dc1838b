"""Ambient mode: ports on the wire, waypoints, probes."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import (
    ambient,
    first_flow,
    flows,
    gateway_api_gateway,
    injected,
    listening,
    peer,
    service,
    udp,
    waypoint,
)
from tests.values import UDP, deployment, namespace

from istio_netpol.istio.hbone import reached, wire_port
from istio_netpol.istio.rules.hbone import RULE
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, PodsPeer
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

TCP = Protocol.TCP
EDGE = deployment("edge/gw", **{"gateway.networking.k8s.io/gateway-name": "gw"})
PODS = {
    "ambient": listening("amb/cart", 8080),
    "sidecar": listening("side/cart", 8080),
    "plain": listening("plain/cart", 8080),
    "gateway": EDGE,
}
MESH = MeshView(
    Snapshot.of([*PODS.values(), ambient("amb"), injected("side"), namespace("plain")]), Settings()
)


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        ("ambient", "ambient", 15008),
        ("sidecar", "ambient", 15008),
        ("gateway", "ambient", 15008),
        ("plain", "ambient", 8080),
        ("ambient", "sidecar", 15008),
        ("ambient", "gateway", 8080),
        ("ambient", "plain", 8080),
        ("sidecar", "sidecar", 8080),
        ("gateway", "sidecar", 8080),
        ("plain", "plain", 8080),
    ],
)
def test_port_on_the_wire(client: str, server: str, expected: int) -> None:
    """The tunnel's port is seen where both ends are in the mesh and one is in ambient mode."""
    assert wire_port(MESH, PodsPeer(PODS[client]), PodsPeer(PODS[server]), TCP, 8080) == expected


def test_only_tcp_between_pods_is_tunnelled() -> None:
    """UDP, and clients that are no pods, use the port itself."""
    server = PodsPeer(PODS["ambient"])
    assert wire_port(MESH, server, server, UDP, 53) == 53
    assert wire_port(MESH, AnyPeer(), server, TCP, 8080) == 8080


def destinations(client: str, *objects: object, **labels: str) -> list[str]:
    """Where the client's packets for the ambient cart go, with these labels on its Service."""
    cart = service("amb/cart", 80, labels=labels)
    view = MeshView(Snapshot.of([*PODS.values(), injected("side"), cart, *objects]), Settings())
    backend = Backend(PodsPeer(PODS["ambient"]), TCP, 8080)
    return [f"{peer(wire.peer)} {wire.port}" for wire in reached(view, PODS[client], cart, backend)]


def test_ambient_client_passes_the_waypoint_of_a_service() -> None:
    """The Service's own label chooses the waypoint."""
    chosen = {"istio.io/use-waypoint": "way"}
    assert destinations("ambient", ambient("amb"), waypoint("amb/way"), **chosen) == ["amb/way 15008"]


def test_namespace_chooses_the_waypoint_of_its_services() -> None:
    """The namespace's label holds for Services without one, which may opt out."""
    home = ambient("amb", **{"istio.io/use-waypoint": "way", "istio.io/use-waypoint-namespace": "infra"})
    serving = open_waypoint("infra/way")
    assert destinations("ambient", home, serving) == ["infra/way 15008"]
    opted_out = {"istio.io/use-waypoint": "none"}
    assert destinations("ambient", home, serving, **opted_out) == ["amb/cart 15008"]


def test_waypoint_serves_the_namespaces_that_it_admits() -> None:
    """A label chooses a waypoint of another namespace only where its listener's allowedRoutes let it in."""
    home = ambient("amb", **{"istio.io/use-waypoint": "way", "istio.io/use-waypoint-namespace": "infra"})
    assert destinations("ambient", home, waypoint("infra/way")) == ["amb/cart 15008"]


def open_waypoint(key: str) -> KubernetesGateway:
    """A waypoint that serves Services of every namespace."""
    return replace(waypoint(key), listeners=(Listener("mesh", 15008, "HBONE", routes_from="All"),))


def test_sidecars_and_gateways_pass_no_waypoint_by_default() -> None:
    """A gateway passes it where the Service or its namespace opts in; a sidecar never does."""
    objects = (ambient("amb"), waypoint("amb/way"))
    chosen = {"istio.io/use-waypoint": "way"}
    assert destinations("sidecar", *objects, **chosen) == ["amb/cart 15008"]
    assert destinations("gateway", *objects, **chosen) == ["amb/cart 15008"]
    opted_in = {"istio.io/ingress-use-waypoint": "true"}
    assert destinations("gateway", *objects, **chosen, **opted_in) == ["amb/way 15008"]
    home = ambient("amb", **opted_in)
    assert destinations("gateway", home, waypoint("amb/way"), **chosen) == ["amb/way 15008"]


def test_missing_waypoint_is_passed_by() -> None:
    """Connections go on to the pods where the waypoint does not exist, or serves no Services."""
    chosen = {"istio.io/use-waypoint": "way"}
    assert destinations("ambient", ambient("amb"), **chosen) == ["amb/cart 15008"]
    other = waypoint("amb/way", labels={"istio.io/waypoint-for": "workload"})
    assert destinations("ambient", ambient("amb"), other, **chosen) == ["amb/cart 15008"]


def test_headless_services_have_no_waypoint() -> None:
    """A waypoint takes what is sent to a virtual IP."""
    cart = service("amb/cart", 80, labels={"istio.io/use-waypoint": "way"}, cluster_ips=("None",))
    view = MeshView(Snapshot.of([*PODS.values(), cart, ambient("amb"), waypoint("amb/way")]), Settings())
    backend = Backend(PodsPeer(PODS["ambient"]), TCP, 8080)
    (found,) = reached(view, PODS["ambient"], cart, backend)
    assert (peer(found.peer), found.port) == ("amb/cart", 15008)


def test_probes_reach_ambient_pods_from_their_own_address() -> None:
    """Both families where the pods' addresses are not known."""
    v6 = "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"
    probed = replace(PODS["ambient"], probe_ports=(8080,))
    assert flows(RULE, probed, ambient("amb")) == [
        "169.254.7.127/32 -> amb/cart TCP 8080",
        f"{v6} -> amb/cart TCP 8080",
    ]
    assert first_flow(RULE, probed, ambient("amb")).reason == (
        "in ambient mode the kubelet's probes come from this address"
    )


def test_probes_come_from_the_family_of_the_pods() -> None:
    """Known addresses decide."""
    running = listening("amb/cart", 8080, 9000, probe_ports=(8080,), addresses=(ip_address("10.0.0.1"),))
    assert flows(RULE, running, ambient("amb")) == ["169.254.7.127/32 -> amb/cart TCP 8080"]


def test_pods_without_probes_need_none() -> None:
    """A declared port alone is probed by nobody."""
    assert flows(RULE, PODS["ambient"], ambient("amb")) == []


def test_probes_of_other_pods_come_from_the_node() -> None:
    """Nothing is required of pods that are not in ambient mode."""
    probed = replace(PODS["sidecar"], probe_ports=(8080,))
    assert flows(RULE, probed, injected("side")) == []


def test_waypoint_reaches_what_it_serves() -> None:
    """Every Service that chose the waypoint: tunnelled to ambient pods, plainly to pods outside the mesh."""
    label = {"istio.io/use-waypoint": "way"}
    objects = (
        ambient("amb", **label),
        service("amb/cart", (80, 8080), udp(53, 53)),
        PODS["ambient"],
        service("plain/cart", (80, 8080), labels={**label, "istio.io/use-waypoint-namespace": "amb"}),
        PODS["plain"],
        service("amb/headless", 80, selector={"app": "cart"}, cluster_ips=("None",)),
        service("amb/other", 80, selector={"app": "other"}, labels={"istio.io/use-waypoint": "none"}),
        listening("amb/other", 80),
        service("side/cart", (80, 8080)),
        PODS["sidecar"],
    )
    assert flows(RULE, open_waypoint("amb/way"), *objects) == [
        "amb/way -> amb/cart TCP 15008",
        "amb/way -> plain/cart TCP 8080",
    ]
    assert flows(RULE, waypoint("amb/way"), *objects) == ["amb/way -> amb/cart TCP 15008"]
    assert first_flow(RULE, waypoint("amb/way"), *objects).reason == (
        "waypoint way passes on what is sent to Service amb/cart"
    )


def test_other_gateways_are_no_waypoints() -> None:
    """Ingress gateways reach what routes name."""
    chosen = ambient("amb", **{"istio.io/use-waypoint": "gw"})
    assert (
        flows(RULE, gateway_api_gateway("amb/gw"), chosen, service("amb/cart", (80, 8080)), PODS["ambient"])
        == []
    )
