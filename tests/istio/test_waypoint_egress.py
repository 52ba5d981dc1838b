"""Ambient mode's way out through a waypoint: pods reach the waypoint, and the waypoint the host."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import ambient, first_flow, flows, injected, listening, outcomes, ref, waypoint
from tests.values import namespace

from istio_netpol.istio.rules import declared_calls, hbone, service_entry
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.istio_networking import ServiceEntry, ServiceEntryPort, WorkloadEndpoint
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction

USE = {"istio.io/use-waypoint": "wp"}
ELSEWHERE = {**USE, "istio.io/use-waypoint-namespace": "infra"}
WEB = listening("shop/web", 8080)
WAYPOINT = waypoint("shop/wp")


def entry(labels: dict[str, str] | None = None, **fields: Any) -> ServiceEntry:
    whole = {"hosts": ("api.example.com",), "resolution": "DNS", **fields}
    ports = (ServiceEntryPort(443, "TLS", "tls"),)
    return ServiceEntry(
        ref("ServiceEntry", "shop/api"), ports=ports, labels=USE if labels is None else labels, **whole
    )


def admitting(**listener: Any) -> KubernetesGateway:
    """A waypoint of another namespace."""
    return replace(waypoint("infra/wp"), listeners=(Listener("mesh", 15008, "HBONE", **listener),))


THROUGH, DIRECT = "shop/web -> shop/wp TCP 15008", "shop/web -> api.example.com TCP 443"
ON = "shop/wp -> api.example.com TCP 443"


@pytest.mark.parametrize(
    ("labels", "home", "fields", "captured"),
    [
        (USE, {}, {}, True),
        ({}, USE, {}, True),
        ({"istio.io/use-waypoint": "none"}, USE, {}, False),
        ({}, {}, {}, False),
        ({"istio.io/use-waypoint": "gone"}, {}, {}, False),
        (USE, {}, {"resolution": "STATIC", "endpoints": (WorkloadEndpoint("192.0.2.7"),)}, True),
        (USE, {}, {"resolution": "NONE", "addresses": ("192.0.2.7",)}, True),
        (USE, {}, {"resolution": "NONE"}, False),
        ({**USE, "networking.istio.io/enable-autoallocate-ip": "false"}, {}, {}, False),
    ],
)
def test_a_host_is_reached_through_the_waypoint_that_it_chose(
    labels: dict[str, str], home: dict[str, str], fields: dict[str, Any], captured: bool
) -> None:
    """By its own label before that of its namespace; without a virtual IP ztunnel can't tell the host."""
    subject, others = entry(labels, **fields), (ambient("shop", **home), WEB, WAYPOINT)
    host = "192.0.2.7/32" if "192.0.2.7" in str(fields) else "api.example.com"
    to_host = f"shop/web -> {host} TCP 443"
    assert flows(service_entry.RULE, subject, *others) == ([THROUGH] if captured else [to_host])
    on = flows(hbone.RULE, WAYPOINT, subject, ambient("shop", **home), WEB)
    assert (f"shop/wp -> {host} TCP 443" in on) is captured


def test_declared_calls_go_through_it_too() -> None:
    """Whoever names the host."""
    caller = replace(WEB, calls="api.example.com:443")
    assert flows(declared_calls.RULE, caller, entry(), ambient("shop"), WAYPOINT) == [THROUGH]


@pytest.mark.parametrize("home", [injected("shop"), namespace("shop")], ids=["sidecar", "no mesh"])
def test_others_than_ambient_pods_go_to_the_host(home: Any) -> None:
    """Sidecars use no waypoints."""
    caller = replace(WEB, calls="api.example.com:443")
    assert flows(declared_calls.RULE, caller, entry(), home, WAYPOINT) == [DIRECT]


@pytest.mark.parametrize(
    ("serves", "captured"), [("service", True), ("all", True), ("workload", False), ("none", False)]
)
def test_the_waypoint_has_to_be_one_for_services(serves: str, captured: bool) -> None:
    """Hosts are Services to it."""
    way = replace(WAYPOINT, labels={"istio.io/waypoint-for": serves})
    expected = [THROUGH] if captured else [DIRECT]
    assert flows(service_entry.RULE, entry(), ambient("shop"), WEB, way) == expected
    assert bool(flows(hbone.RULE, way, entry(), ambient("shop"))) is captured


@pytest.mark.parametrize(
    ("listener", "captured"),
    [
        ({}, False),
        ({"routes_from": "All"}, True),
        ({"routes_from": "Selector", "namespaces": Selector.of({"team": "shop"})}, True),
        ({"routes_from": "Selector", "namespaces": Selector.of({"team": "bank"})}, False),
    ],
)
def test_a_waypoint_of_another_namespace_says_whom_it_takes_in(
    listener: dict[str, Any], captured: bool
) -> None:
    """By the allowedRoutes of its listeners."""
    objects = (ambient("shop", team="shop"), WEB, admitting(**listener))
    expected = ["shop/web -> infra/wp TCP 15008"] if captured else [DIRECT]
    assert flows(service_entry.RULE, entry(ELSEWHERE), *objects) == expected


def test_its_namespace_agrees_by_what_it_admits() -> None:
    """The pods of the entry's namespace are let in on its word; where the entry leads it is opened by an
    administrator alone."""
    way, home = admitting(routes_from="All"), ambient("shop")
    into = first_flow(service_entry.RULE, entry(ELSEWHERE), home, WEB, way)
    assert into.kind is FlowKind.WORKLOAD_TO_WORKLOAD
    assert into.agreement.of(Direction.EGRESS) == frozenset({"shop"})
    assert into.agreement.of(Direction.INGRESS) == frozenset({"infra"})
    on = first_flow(hbone.RULE, way, entry(ELSEWHERE), home)
    assert on.agreement.of(Direction.EGRESS) == frozenset()


def test_its_own_namespace_opens_its_way_out() -> None:
    """Who writes the entry there writes for the waypoint's pods."""
    on = first_flow(hbone.RULE, WAYPOINT, entry(), ambient("shop"))
    assert (on.kind, on.agreement.of(Direction.EGRESS)) == (
        FlowKind.WORKLOAD_TO_EXTERNAL,
        frozenset({"shop"}),
    )


def test_a_caller_of_a_third_namespace_is_not_let_in_on_anothers_entry() -> None:
    """The waypoint admitted the namespace of the entry, not every client."""
    exported = replace(entry(ELSEWHERE), ref=ref("ServiceEntry", "istio-system/api"))
    caller = replace(listening("bank/app", 80), calls="api.example.com:443")
    way = admitting(routes_from="Selector", namespaces=Selector.of({"team": "shop"}))
    found = outcomes(declared_calls.RULE, caller, exported, ambient("bank"), ambient("shop"), way)
    lines = [outcome.destination for outcome in found if isinstance(outcome, RequiredFlow)]
    assert [str(line) for line in lines] == ["api.example.com"]


def test_pods_behind_an_entry_are_reached_by_the_waypoint() -> None:
    """Through their tunnel, where they are in the mesh."""
    inside = entry(resolution="STATIC", workload_selector={"app": "web"})
    assert "shop/wp -> shop/web TCP 15008" in flows(hbone.RULE, WAYPOINT, inside, ambient("shop"), WEB)
