"""What answers behind Services, ServiceEntries and bare addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.istio.builders import endpoint, endpoints, ref, service, service_entry, view
from tests.values import address, deployment

from istio_netpol.istio.view.backends import Backend
from istio_netpol.model.addresses import parse_address, parse_networks
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer
from istio_netpol.model.istio_networking import ServiceEntryPort, WorkloadEndpoint, WorkloadEntry
from istio_netpol.model.services import EndpointAddress, EndpointPort, EndpointSlice, Service, ServicePort
from istio_netpol.model.workloads import ContainerPort

CART = deployment("shop/cart")


def shown(backends: object) -> list[str]:
    return [f"{backend.peer} {backend.protocol} {backend.port}" for backend in backends]  # type: ignore[attr-defined]


def test_all_ports_are_meant_where_none_is_named() -> None:
    """Every port of the Service, with its own target."""
    front = service("shop/cart", ServicePort(80, 8080), ServicePort(53, 5353, "dns", Protocol.UDP))
    assert shown(view(CART, front).backends(front, None)) == [
        "Deployment shop/cart TCP 8080",
        "Deployment shop/cart UDP 5353",
    ]


def test_same_target_is_one_backend() -> None:
    """Two Service ports may lead to one container port."""
    front = service("shop/cart", ServicePort(80, 8080), ServicePort(8080, 8080))
    assert shown(view(CART, front).backends(front, None)) == ["Deployment shop/cart TCP 8080"]


def test_first_container_port_of_a_name_counts() -> None:
    """As the EndpointSlice controller has it."""
    twice = deployment("shop/cart", ContainerPort(8080, "http"), ContainerPort(9090, "http"))
    front = service("shop/cart", ServicePort(80, "http"))
    assert shown(view(twice, front).backends(front, 80)) == ["Deployment shop/cart TCP 8080"]


def test_named_port_has_a_protocol() -> None:
    """A UDP port of the same name is another port."""
    udp = deployment("shop/cart", ContainerPort(8080, "http", Protocol.UDP))
    front = service("shop/cart", ServicePort(80, "http"))
    mesh = view(udp, front)
    assert mesh.backends(front, 80) == ()
    assert [(str(pod.ref), name) for pod, name in mesh.undeclared(front, (80,))] == [
        ("Deployment shop/cart", "http")
    ]


def test_numbers_need_no_declaration() -> None:
    """Containers listen on what they do not declare."""
    front = service("shop/cart", ServicePort(80, 8080))
    assert view(CART, front).undeclared(front, (80,)) == ()


def test_service_pods_are_those_of_the_selector_and_subset() -> None:
    """Whatever ports they declare."""
    second = deployment("shop/cart-v2", app="cart", version="v2")
    front = service("shop/cart", 80)
    mesh = view(CART, second, front)
    assert [workload.name for workload in mesh.service_pods(front)] == ["cart", "cart-v2"]
    assert [workload.name for workload in mesh.service_pods(front, {"version": "v2"})] == ["cart-v2"]


def test_empty_selector_selects_nobody() -> None:
    """The EndpointSlice controller leaves such a Service to others."""
    front = Service(ref("v1", "Service", "shop/all"), (ServicePort(80, 80),), {})
    assert view(CART, front).backends(front, 80) == ()


def test_endpoints_correspond_by_port_name() -> None:
    """A slice's port belongs to the Service's port of that name."""
    front = Service(
        ref("v1", "Service", "shop/db"), (ServicePort(5432, 5432, "pg"), ServicePort(9187, 9187, "metrics"))
    )
    slices = endpoints("shop/db", "192.0.2.1", "192.0.2.2", port=15432, name="pg")
    mesh = view(front, slices)
    assert shown(mesh.backends(front, None)) == ["192.0.2.1/32 TCP 15432", "192.0.2.2/32 TCP 15432"]
    assert mesh.backends(front, 9187) == ()


def test_endpoint_may_be_a_pod() -> None:
    """An endpoint that names its pod, or has its address, is that pod."""
    front = Service(ref("v1", "Service", "shop/db"), (ServicePort(5432, 5432),))
    db = deployment("shop/db", at=("10.0.0.9",), app="db")
    slices = endpoints("shop/db", "10.0.0.9", port=5432, pod="db-0")
    assert shown(view(front, slices, db).backends(front, 5432)) == ["Deployment shop/db TCP 5432"]
    assert shown(view(front, slices).backends(front, 5432)) == ["10.0.0.9/32 TCP 5432"]


FRONT = Service(ref("v1", "Service", "shop/db"), (ServicePort(5432, 5432, "pg"), ServicePort(80, 80, "web")))


def kept(
    *found: EndpointAddress, ports: tuple[EndpointPort, ...] = (EndpointPort(15432, "pg"),)
) -> EndpointSlice:
    return EndpointSlice(ref("discovery.k8s.io/v1", "EndpointSlice", "shop/db-1"), "db", found, ports)


def at(*texts: str, pod: str = "", pod_namespace: str = "") -> EndpointAddress:
    return EndpointAddress(tuple(address(text) for text in texts), pod, pod_namespace)


BACK = deployment("ops/db", at=("10.0.0.9", "fd00::9"), app="db")
UNSEEN = replace(deployment("ops/db-0", app="db"), ref=ref("v1", "Pod", "ops/db-0"))
NODE = replace(deployment("ops/agent", app="agent"), ref=ref("v1", "Pod", "ops/agent"), host_network=True)
NAMESAKE = deployment("ops/db-1", app="db")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (at("10.0.0.9", pod="db-0", pod_namespace="ops"), ["Deployment ops/db TCP 15432"]),
        (at("10.0.0.9"), ["Deployment ops/db TCP 15432"]),
        (at("10.0.0.9", pod="db-0"), ["Deployment ops/db TCP 15432"]),
        (at("fd00::9"), ["Deployment ops/db TCP 15432"]),
        (at("10.0.0.9", "fd00::9"), ["Deployment ops/db TCP 15432"]),
        (at("10.0.0.9", "192.0.2.1"), ["192.0.2.1/32 TCP 15432", "Deployment ops/db TCP 15432"]),
        (at("10.0.0.7", pod="db-0", pod_namespace="ops"), ["Pod ops/db-0 TCP 15432"]),
        (at("10.0.0.7", pod="db-0"), ["10.0.0.7/32 TCP 15432"]),
        (at("10.0.0.7", pod="db", pod_namespace="ops"), ["10.0.0.7/32 TCP 15432"]),
        (at("192.168.1.4", pod="agent", pod_namespace="ops"), ["Pod ops/agent TCP 15432"]),
        (at("10.0.0.7", pod="db-1", pod_namespace="ops"), ["10.0.0.7/32 TCP 15432"]),
        (at("10.0.0.7"), ["10.0.0.7/32 TCP 15432"]),
    ],
)
def test_an_endpoint_is_the_pods_of_its_address_in_any_namespace(
    endpoint: EndpointAddress, expected: list[str]
) -> None:
    """An address says more than a name: packets go by it. A pod whose address nobody knows is told by its
    name."""
    mesh = view(FRONT, kept(endpoint), BACK, UNSEEN, NODE, NAMESAKE)
    assert sorted(shown(mesh.backends(FRONT, None))) == expected


def test_slices_of_both_families_are_the_same_pods() -> None:
    """A dual-stack Service has a slice for each."""
    six = replace(kept(at("fd00::9")), ref=ref("discovery.k8s.io/v1", "EndpointSlice", "shop/db-2"))
    mesh = view(FRONT, kept(at("10.0.0.9")), six, BACK)
    assert shown(mesh.backends(FRONT, 5432)) == ["Deployment ops/db TCP 15432"]


def test_ports_of_endpoints_go_by_their_names() -> None:
    """What the Service has for a target does not count, nor the order."""
    ports = (EndpointPort(8080, "web"), EndpointPort(15432, "pg"), EndpointPort(53, "pg", Protocol.UDP))
    mesh = view(FRONT, kept(at("10.0.0.9"), ports=ports), BACK)
    assert shown(mesh.backends(FRONT, 80)) == ["Deployment ops/db TCP 8080"]
    assert shown(mesh.backends(FRONT, 5432)) == ["Deployment ops/db TCP 15432"]


def test_services_of_pods_are_those_that_select_them() -> None:
    """Sorted by name; Services without a selector select nobody."""
    pods = deployment("shop/cart", app="cart", tier="web")
    first, second = service("shop/b", 80, tier="web"), service("shop/a", 80, app="cart", tier="web")
    others = (service("shop/c", 80, app="cart", tier="db"), Service(ref("v1", "Service", "shop/d")))
    mesh = view(pods, first, second, *others)
    assert [owner.name for owner in mesh.services_of(pods)] == ["a", "b"]


def test_namespace_without_services_has_none() -> None:
    """Nothing is indexed where nothing is."""
    assert view(CART).services_of(CART) == ()


def test_resolution_none_keeps_the_address() -> None:
    """The client's own destination address and port stay."""
    entry = service_entry(
        "shop/vm",
        "vm.example.com",
        numbered=(ServiceEntryPort(80, "TCP", "tcp", 8080),),
        resolution="NONE",
        addresses=("192.0.2.0/28",),
    )
    assert shown(view(entry).entry_backends(entry, 80)) == ["192.0.2.0/28 TCP 80"]


OWN = (deployment("shop/db", at=("10.0.0.9", "fd00::9"), app="db"), service("shop/front", 80, at="10.96.0.7"))
PLACES = (
    "10.0.0.9",
    "fd00::9",
    "10.96.0.7",
    "203.0.113.0/24",
    "no address",
    "x.example.com",
    "*.example.com",
)
CROWD = tuple(f"192.0.2.{number}" for number in range(40)) + tuple(
    f"2001:db8::{number}" for number in range(9)
)


@given(st.permutations(PLACES + CROWD), st.integers(0, 56))
def test_many_addresses_are_what_each_of_them_is(texts: list[str], count: int) -> None:
    """Many are compared with the cluster's at once, few one by one, to the same end."""
    written = tuple(texts[:count])
    entry = service_entry("shop/x", "x.example.com", resolution="NONE", addresses=written or ("192.0.2.1",))
    mesh = view(*OWN, entry)
    literals = {text: literal for text in entry.addresses if (literal := parse_address(text))}
    behind = {text: mesh.behind_address(literals[text], "shop", 443, Protocol.TCP) for text in literals}
    others, _ = parse_networks(text for text in entry.addresses if not behind.get(text))
    expected = [backend for found in behind.values() for backend in found]
    expected += [Backend(AddressPeer(others), Protocol.TCP, 443)] if others else []
    assert mesh.entry_backends(entry, 443) == tuple(dict.fromkeys(expected))

    listed = replace(entry, resolution="STATIC", endpoints=tuple(map(WorkloadEndpoint, entry.addresses)))
    alone = [replace(listed, endpoints=(endpoint,)) for endpoint in listed.endpoints]
    expected = [backend for single in alone for backend in view(*OWN, single).entry_backends(single, 443)]
    assert view(*OWN, listed).entry_backends(listed, None) == tuple(dict.fromkeys(expected))


def test_resolution_none_without_addresses_is_the_host() -> None:
    """The client looks the host up itself."""
    entry = service_entry("shop/api", "api.example.com", resolution="NONE")
    assert shown(view(entry).entry_backends(entry, None)) == ["api.example.com TCP 443"]


def test_entry_ports_may_be_udp() -> None:
    """The protocol on the wire follows Istio's name for it."""
    entry = service_entry("shop/dns", "dns.example.com", numbered=(ServiceEntryPort(53, "UDP"),))
    assert shown(view(entry).entry_backends(entry, 53)) == ["dns.example.com UDP 53"]


def test_entry_has_no_other_ports() -> None:
    """A port that is not declared leads nowhere."""
    entry = service_entry("shop/api", "api.example.com")
    assert view(entry).entry_backends(entry, 80) == ()


def test_workload_entries_are_selected_too() -> None:
    """A workloadSelector finds pods and WorkloadEntries by their labels."""
    entry = service_entry("shop/vm", "vm.example.com", workload_selector={"app": "cart"}, resolution="STATIC")
    inside = WorkloadEntry(
        ref("networking.istio.io/v1", "WorkloadEntry", "shop/vm"),
        WorkloadEndpoint("192.0.2.4", {}, {"app": "cart", "class": "vm"}),
    )
    outside = replace(
        inside,
        ref=ref("networking.istio.io/v1", "WorkloadEntry", "shop/other"),
        endpoint=endpoint("192.0.2.5"),
    )
    mesh = view(CART, entry, inside, outside)
    assert shown(mesh.entry_backends(entry, 443)) == ["Deployment shop/cart TCP 443", "192.0.2.4/32 TCP 443"]


def test_endpoint_may_name_a_service() -> None:
    """A DNS endpoint of the cluster is its pods, on their port."""
    front = service("shop/cart", ServicePort(80, 8080))
    entry = service_entry(
        "shop/alias",
        "cart.example.com",
        ports=(80,),
        endpoints=(endpoint("cart.shop.svc.cluster.local"), endpoint("unix:///var/run/cart.sock")),
    )
    mesh = view(CART, front, entry)
    assert shown(mesh.entry_backends(entry, 80)) == ["Deployment shop/cart TCP 8080"]


def test_bare_addresses_and_hosts() -> None:
    """What no object declares is an address, a host, or the pods of a Service that is known."""
    front = service("shop/cart", ServicePort(80, 8080))
    mesh = view(CART, front)
    assert shown(mesh.address_backends("192.0.2.1", "shop", 443)) == ["192.0.2.1/32 TCP 443"]
    assert shown(mesh.address_backends("api.example.com", "shop", 443)) == ["api.example.com TCP 443"]
    assert shown(mesh.address_backends("cart.shop", "web", 80)) == ["Deployment shop/cart TCP 8080"]
    assert mesh.address_backends("gone.shop.svc", "web", 80) == ()
