"""ServiceEntry: the workloads of its namespace connect to what it adds."""

from __future__ import annotations

from typing import Any

from tests.istio.outcomes import findings, first_flow, flows, injected, listening, ref, service

from istio_netpol.istio.rules.service_entry import RULE
from istio_netpol.model.istio_networking import (
    Destination,
    Route,
    ServiceEntry,
    ServiceEntryPort,
    Sidecar,
    SidecarEgress,
    VirtualService,
    WorkloadEndpoint,
)

SHOP = (injected("shop"), listening("shop/web", 80))
HTTPS = (ServiceEntryPort(443, "TLS", "tls"),)


def entry(*hosts: str, key: str = "shop/api", **fields: Any) -> ServiceEntry:
    return ServiceEntry(
        ref("ServiceEntry", key),
        hosts or ("api.example.com",),
        **{"ports": HTTPS, "resolution": "DNS", **fields},
    )


def test_host_is_called_by_the_own_namespace() -> None:
    """The sidecars of its namespace connect to the host; other namespaces say so themselves."""
    others = (*SHOP, injected("other"), listening("other/web", 80))
    assert flows(RULE, entry(), *others) == ["shop/web -> api.example.com TCP 443"]


def test_flow_says_why_and_where() -> None:
    """The flow is an external one, with a path and a reason."""
    flow = first_flow(RULE, entry(), *SHOP)
    assert (flow.kind, flow.field) == ("workload-to-external", "spec.hosts")
    assert (
        flow.reason
        == "ServiceEntry shop/api adds api.example.com to what the workloads of its namespace call"
    )


def test_pods_outside_the_mesh_and_gateways_are_no_clients() -> None:
    """Only sidecars and ambient pods know a ServiceEntry; a gateway needs a route."""
    edge = listening("shop/edge", 80, annotations={"inject.istio.io/templates": "gateway"})
    assert flows(RULE, entry(), *SHOP, edge) == ["shop/web -> api.example.com TCP 443"]
    assert flows(RULE, entry(), SHOP[1]) == []


def test_static_endpoints_have_target_ports() -> None:
    """Endpoints are addresses; their ports go before the target port, which goes before the port."""
    endpoints = (WorkloadEndpoint("192.0.2.1"), WorkloadEndpoint("192.0.2.2", {"tls": 9443}))
    ports = (ServiceEntryPort(443, "TLS", "tls", 8443),)
    assert flows(RULE, entry(resolution="STATIC", endpoints=endpoints, ports=ports), *SHOP) == [
        "shop/web -> 192.0.2.1/32 TCP 8443",
        "shop/web -> 192.0.2.2/32 TCP 9443",
    ]


def test_workload_selector_means_pods() -> None:
    """Selected pods are workloads of the cluster, themselves not their own clients."""
    subject = entry(workload_selector={"app": "db"}, resolution="STATIC", ports=(ServiceEntryPort(5432),))
    assert flows(RULE, subject, *SHOP, listening("shop/db", 5432)) == ["shop/web -> shop/db TCP 5432"]
    assert first_flow(RULE, subject, *SHOP, listening("shop/db", 5432)).kind == "workload-to-workload"


def test_export_decides_whether_the_own_namespace_sees_it() -> None:
    """`.`, `*` and the namespace's name let it see the entry; another name alone does not."""
    for export_to in ((".",), ("*",), ("shop",)):
        assert flows(RULE, entry(export_to=export_to), *SHOP) == ["shop/web -> api.example.com TCP 443"]
    assert flows(RULE, entry(export_to=("other",)), *SHOP) == []


def sidecar(*hosts: str, key: str = "shop/default", **fields: Any) -> Sidecar:
    return Sidecar(ref("Sidecar", key), egress=(SidecarEgress(hosts),) if hosts else (), **fields)


def test_sidecar_takes_its_workloads_away() -> None:
    """Where a Sidecar leaves the host out, its workloads are no clients."""
    assert flows(RULE, entry(), *SHOP, sidecar("pay/*", "./*.internal")) == []
    for kept in ("./*", "*/*", "shop/*.example.com", "./api.example.com", "api.example.com"):
        assert flows(RULE, entry(), *SHOP, sidecar(kept)) == ["shop/web -> api.example.com TCP 443"]


def test_sidecar_without_egress_narrows_nothing() -> None:
    """A Sidecar may be about ingress alone."""
    assert flows(RULE, entry(), *SHOP, sidecar()) == ["shop/web -> api.example.com TCP 443"]


def test_most_specific_sidecar_counts() -> None:
    """One that selects the workload goes before its namespace's, which goes before the root namespace's."""
    everything, nothing = "*/*", "~/*"
    root = sidecar(nothing, key="istio-system/default")
    assert flows(RULE, entry(), *SHOP, root) == []
    assert flows(RULE, entry(), *SHOP, root, sidecar(everything)) != []
    selecting = sidecar(nothing, key="shop/web", workload_selector={"app": "web"})
    assert flows(RULE, entry(), *SHOP, sidecar(everything), selecting) == []
    other = sidecar(nothing, key="shop/other", workload_selector={"app": "other"})
    assert flows(RULE, entry(), *SHOP, sidecar(everything), other) != []


EGRESS = (service("istio-system/egress", (443, 8443)), listening("istio-system/egress", 8443))


def virtual_service(*routes: Route, **fields: Any) -> VirtualService:
    return VirtualService(
        ref("VirtualService", "shop/api"),
        ("api.example.com",),
        **{"gateways": ("mesh", "istio-system/egress"), "routes": routes, **fields},
    )


THROUGH = (
    Route("tls", (Destination("egress.istio-system.svc.cluster.local", 443),), gateways=("mesh",)),
    Route("tls", (Destination("api.example.com", 443),), gateways=("istio-system/egress",)),
)


def test_route_of_the_mesh_leads_through_the_egress_gateway() -> None:
    """Sidecars connect to the gateway instead; its way on belongs to the VirtualService."""
    assert flows(RULE, entry(), *SHOP, *EGRESS, virtual_service(*THROUGH)) == [
        "shop/web -> istio-system/egress TCP 8443"
    ]
    flow = first_flow(RULE, entry(), *SHOP, *EGRESS, virtual_service(*THROUGH))
    assert flow.reason == (
        "ServiceEntry shop/api adds api.example.com, which a VirtualService sends through Service "
        "istio-system/egress"
    )


def test_route_to_the_host_itself_changes_nothing() -> None:
    """A VirtualService that only sets a timeout leaves the connection where it is."""
    direct = virtual_service(Route("tls", (Destination("api.example.com", 443),)), gateways=())
    assert flows(RULE, entry(), *SHOP, direct) == ["shop/web -> api.example.com TCP 443"]


def test_route_that_the_namespace_does_not_see_changes_nothing() -> None:
    """A VirtualService that is exported elsewhere is none of these sidecars'."""
    hidden = virtual_service(*THROUGH, export_to=("other",))
    assert flows(RULE, entry(), *SHOP, *EGRESS, hidden) == ["shop/web -> api.example.com TCP 443"]


def test_route_to_nowhere_has_no_flow() -> None:
    """A destination that does not exist is the VirtualService's own finding."""
    assert flows(RULE, entry(), *SHOP, virtual_service(*THROUGH)) == []


def test_addresses_of_resolution_none_count() -> None:
    """Packets go where the client sends them: to the declared addresses, or where DNS says."""
    addressed = entry(resolution="NONE", addresses=("192.0.2.0/24",))
    assert flows(RULE, addressed, *SHOP) == ["shop/web -> 192.0.2.0/24 TCP 443"]
    assert flows(RULE, entry(resolution="NONE"), *SHOP) == ["shop/web -> api.example.com TCP 443"]


def test_wildcard_host_is_told() -> None:
    """Nobody knows what a wildcard stands for."""
    subject = entry("*.example.com", resolution="NONE")
    assert flows(RULE, subject, *SHOP) == []
    assert findings(RULE, subject, *SHOP) == [
        "unknown-destination info: ServiceEntry shop/api: spec.hosts: *.example.com with resolution NONE "
        "does not stand for an "
        "address that a policy could name; name hosts without wildcards, or addresses"
    ]


def test_selector_without_pods_is_told() -> None:
    """A workloadSelector that selects nothing is a warning."""
    subject = entry(workload_selector={"app": "db"}, resolution="STATIC")
    assert findings(RULE, subject, *SHOP) == [
        "unknown-destination warning: ServiceEntry shop/api: spec.workloadSelector: it selects neither pods "
        "nor "
        "WorkloadEntries of the input; correct the labels, or add the workload"
    ]


def test_entry_without_ports_is_not_judged() -> None:
    """Without ports there is no connection."""
    assert findings(RULE, entry(ports=()), *SHOP) == []


def test_address_that_cannot_be_read_is_told_and_the_others_count() -> None:
    """Istio refuses it too; nothing is opened for it."""
    addresses = ("203.0.113.9/33", "203.0.113.8")
    subject = entry("x.example.com", addresses=addresses, ports=HTTPS, resolution="NONE")
    assert flows(RULE, subject, *SHOP) == ["shop/web -> 203.0.113.8/32 TCP 443"]
    (finding,) = findings(RULE, subject, *SHOP)
    assert "spec.addresses[0]: 203.0.113.9/33 is not an IP address or CIDR" in finding
