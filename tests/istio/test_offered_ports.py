"""Who may call a gateway follows the Services in front of it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from tests.istio.builders import ingress_gateway
from tests.istio.outcomes import first_flow, flows, gateway_api_gateway, service

from istio_netpol.istio import offered_ports
from istio_netpol.istio.offered_ports import GATEWAY_CALLERS, IN_CLUSTER, LOAD_BALANCER_RANGES, GatewayClients
from istio_netpol.istio.rules.client_to_gateway import RULE
from istio_netpol.istio.view.backends import target_on
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.istio_networking import Gateway, GatewayServer
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.workloads import Workload

PODS = ingress_gateway()
ADDRESS = (ip_address("192.0.2.1"),)
RANGE = AddressSet.of("203.0.113.0/24")


def front(**fields: Any) -> Service:
    return service("istio-system/front", (80, 8080), selector=PODS.labels, **fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "ClusterIP"}, IN_CLUSTER),
        ({"type": "ClusterIP", "cluster_ips": ("None",)}, IN_CLUSTER),
        ({"type": "ClusterIP", "external_ips": ADDRESS}, GATEWAY_CALLERS),
        ({"type": "NodePort"}, GATEWAY_CALLERS),
        ({"type": "LoadBalancer"}, GATEWAY_CALLERS),
        (
            {"type": "LoadBalancer", "is_internal": True, "external_ips": ADDRESS},
            GATEWAY_CALLERS,
        ),
    ],
)
def test_the_type_of_the_service_counts(fields: dict[str, Any], expected: AnyPeer) -> None:
    """ClusterIP means the cluster; what is reached from outside, anybody."""
    assert GatewayClients([front(**fields)], PODS).of(8080) == expected


@pytest.mark.parametrize(
    ("fields", "within"),
    [
        ({"is_internal": True}, LOAD_BALANCER_RANGES),
        ({"source_ranges": ("203.0.113.0/24",), "keeps_client_addresses": True}, RANGE),
        ({"source_ranges": ("203.0.113.0/24",)}, RANGE | LOAD_BALANCER_RANGES),
    ],
)
def test_a_load_balancer_may_have_few_clients(fields: dict[str, Any], within: AddressSet) -> None:
    """An internal one, or one with source ranges; without `externalTrafficPolicy: Local` nodes stand for
    clients."""
    found = GatewayClients([front(type="LoadBalancer", **fields)], PODS).of(8080)
    assert (found.in_cluster, found.within) == (False, within)


def test_the_widest_of_several_services_counts() -> None:
    """A gateway with an internal and a public load balancer is public."""
    inner, public = front(type="LoadBalancer", is_internal=True), front(type="LoadBalancer")
    assert GatewayClients([front(), inner], PODS).of(8080).within == LOAD_BALANCER_RANGES
    assert GatewayClients([inner, public], PODS).of(8080) == GATEWAY_CALLERS


def test_services_that_offer_the_port_say_who_calls_it() -> None:
    """A public Service of another port does not open this one to the world."""
    public = service("istio-system/public", (443, 8443), selector=PODS.labels, type="LoadBalancer")
    assert GatewayClients([front(), public], PODS).of(8080) == IN_CLUSTER
    assert GatewayClients([front(), public], PODS).of(8443) == GATEWAY_CALLERS


def test_without_services_nothing_says_that_clients_are_few() -> None:
    """The Service may be somewhere else."""
    assert GatewayClients([], PODS).of(8080) == GATEWAY_CALLERS


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, GATEWAY_CALLERS),
        ({"annotations": {"networking.istio.io/service-type": "ClusterIP"}}, IN_CLUSTER),
        ({"annotations": {"networking.istio.io/service-type": "NodePort"}}, GATEWAY_CALLERS),
    ],
)
def test_an_annotation_chooses_the_service_of_a_gateway_to_come(
    fields: dict[str, Any], expected: AnyPeer
) -> None:
    """istiod makes a load balancer unless it says otherwise."""
    assert first_flow(RULE, gateway_api_gateway("edge/pub", **fields)).source == expected


def test_annotations_make_the_load_balancer_of_a_gateway_to_come_internal() -> None:
    """Those of `infrastructure` are on its Service."""
    inner = {"networking.gke.io/load-balancer-type": "Internal"}
    source = first_flow(RULE, gateway_api_gateway("edge/pub", service_annotations=inner)).source
    assert isinstance(source, AnyPeer)
    assert source.within == LOAD_BALANCER_RANGES


def test_ports_of_services_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Gateway may open as many ports as its Service lists: not each of them for each of those."""
    asked: list[int] = []

    def counted(pods: Workload, port: ServicePort) -> int | None:
        asked.append(port.port)
        return target_on(pods, port)

    monkeypatch.setattr(offered_ports, "target_on", counted)
    numbers = range(1000, 1400)
    wide = service(
        "istio-system/wide", *((number, number + 1000) for number in numbers), selector=PODS.labels
    )
    servers = tuple(GatewayServer(number, "TCP", hosts=("*",)) for number in numbers)
    opens = Gateway(
        ObjectRef("networking.istio.io/v1", "Gateway", "istio-system", "wide"), PODS.labels, servers
    )
    assert len(flows(RULE, opens, PODS, wide)) == len(numbers)
    assert len(asked) == 2 * len(numbers)
