"""The annotation `istio-netpol.io/calls` as flows."""

from __future__ import annotations

from typing import Any

import pytest
from tests.istio.outcomes import (
    ambient,
    findings,
    first_flow,
    flows,
    injected,
    listening,
    outcomes,
    ref,
    service,
    udp,
)

from istio_netpol.istio.rules.declared_calls import RULE
from istio_netpol.model.istio_networking import (
    Destination,
    Route,
    RouteMatch,
    ServiceEntry,
    ServiceEntryPort,
    VirtualService,
    WorkloadEndpoint,
)
from istio_netpol.model.services import ServicePort
from istio_netpol.model.settings import ApiServerSettings, Settings
from istio_netpol.model.workloads import Workload

FIELD = "metadata.annotations[istio-netpol.io/calls]"


def web(calls: str, **fields: Any) -> Workload:
    return listening("shop/web", 80, calls=calls, **fields)


LEDGER = (
    service("shop/ledger", ServicePort(80, 8080, "http"), ServicePort(90, 9090, "admin")),
    listening("shop/ledger", 8080, 9090),
)
NGINX = (service("ns-b/nginx", (80, 8080)), listening("ns-b/nginx", 8080))


def test_service_without_port_means_all_its_ports() -> None:
    """A bare name opens every port of the Service of the own namespace."""
    assert flows(RULE, web("ledger"), *LEDGER) == [
        "shop/web -> shop/ledger TCP 8080",
        "shop/web -> shop/ledger TCP 9090",
    ]


def test_service_port_by_number_and_by_name() -> None:
    """The port is the Service's; the flow has the pods' port."""
    assert flows(RULE, web("ledger:80"), *LEDGER) == ["shop/web -> shop/ledger TCP 8080"]
    assert flows(RULE, web("ledger:admin"), *LEDGER) == ["shop/web -> shop/ledger TCP 9090"]


def test_headless_service_is_called_on_the_port_that_is_written() -> None:
    """The client connects to the pods themselves: no Service translates its port, or has to list it."""
    headless = service("shop/db", ServicePort(80, 8080, "http"), cluster_ips=("None",))
    pods = listening("shop/db", 8080)
    assert flows(RULE, web("db:8080"), headless, pods) == ["shop/web -> shop/db TCP 8080"]
    assert flows(RULE, web("db:80"), headless, pods) == ["shop/web -> shop/db TCP 80"]
    assert flows(RULE, web("db:http"), headless, pods) == ["shop/web -> shop/db TCP 8080"]
    assert flows(RULE, web("db"), headless, pods) == ["shop/web -> shop/db TCP 8080"]


def test_both_protocols_of_a_port_count() -> None:
    """A number that a Service has over TCP and UDP means both."""
    dns = (service("shop/dns", (53, 8053), udp(53, 8053)), listening("shop/dns"))
    assert flows(RULE, web("dns:53"), *dns) == [
        "shop/web -> shop/dns TCP 8053",
        "shop/web -> shop/dns UDP 8053",
    ]


def test_flow_says_why_and_where() -> None:
    """The flow carries the annotation's path and the entry."""
    flow = first_flow(RULE, web("ledger:80"), *LEDGER)
    assert (flow.kind, flow.field) == ("workload-to-workload", FIELD)
    assert flow.reason == "Deployment shop/web declares that it calls ledger:80"


def test_own_namespace_needs_no_consent() -> None:
    """Calls within a namespace are consented to."""
    assert first_flow(RULE, web("ledger:80"), *LEDGER).agreement.ingress is not None


def test_other_namespace_has_to_consent() -> None:
    """Another namespace agrees by `called-by`, on the workload or the Service."""
    assert first_flow(RULE, web("ns-b/nginx:80"), *NGINX).agreement.ingress is None
    on_service = (service("ns-b/nginx", (80, 8080), called_by="shop/web"), NGINX[1])
    assert first_flow(RULE, web("ns-b/nginx:80"), *on_service).agreement.ingress is not None
    on_pods = (NGINX[0], listening("ns-b/nginx", 8080, called_by="shop/*"))
    assert first_flow(RULE, web("ns-b/nginx:80"), *on_pods).agreement.ingress is not None


def test_dotted_name_is_a_service_where_there_is_one() -> None:
    """`name.namespace:port` is a Service if the cluster has it, else a host."""
    assert flows(RULE, web("nginx.ns-b:80"), *NGINX) == ["shop/web -> ns-b/nginx TCP 8080"]
    assert flows(RULE, web("nginx.ns-b"), *NGINX) == ["shop/web -> ns-b/nginx TCP 8080"]
    assert flows(RULE, web("nginx.example:80"), *NGINX) == ["shop/web -> nginx.example TCP 80"]


def test_host_is_outside_the_cluster() -> None:
    """Other hosts are left to resolution."""
    flow = first_flow(RULE, web("api.example.com:443"))
    assert (flow.kind, str(flow.destination), flow.port) == ("workload-to-external", "api.example.com", 443)


def test_host_of_a_service_entry_has_its_endpoints() -> None:
    """A ServiceEntry knows the addresses of its hosts; a port that it lacks is asked of the host itself."""
    entry = ServiceEntry(
        ref("ServiceEntry", "shop/api"),
        ("api.example.com",),
        ports=(ServiceEntryPort(443),),
        resolution="STATIC",
        endpoints=(WorkloadEndpoint("192.0.2.9"),),
    )
    assert flows(RULE, web("api.example.com:443"), entry) == ["shop/web -> 192.0.2.9/32 TCP 443"]
    assert flows(RULE, web("api.example.com:8443"), entry) == ["shop/web -> api.example.com TCP 8443"]


def test_addresses_with_protocol() -> None:
    """CIDRs are taken as they are."""
    found = flows(RULE, web("10.0.0.0/24:5432/TCP, [2001:db8::/64]:53/UDP"))
    assert found == ["shop/web -> 10.0.0.0/24 TCP 5432", "shop/web -> 2001:db8::/64 UDP 53"]


def test_apiserver_is_the_endpoint_behind_its_service() -> None:
    """The word `apiserver` means the API server as policies see it."""
    settings = Settings(api_server=ApiServerSettings(("192.0.2.1",), 6443))
    flow = first_flow(RULE, web("apiserver"), settings=settings)
    assert (flow.kind, str(flow.destination), flow.port) == ("to-apiserver", "192.0.2.1/32", 6443)


def test_external_name_leads_to_its_host() -> None:
    """An ExternalName without ports takes the port of the entry."""
    alias = service("shop/pay", selector={}, type="ExternalName", external_name="pay.example.com")
    without_ports = type(alias)(alias.ref, (), None, "ExternalName", (), "pay.example.com")
    assert flows(RULE, web("pay:443"), without_ports) == ["shop/web -> pay.example.com TCP 443"]
    assert findings(RULE, web("pay"), without_ports) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: pay: Service shop/pay declares no "
        "ports; "
        "add one to the entry"
    ]


def test_ambient_pods_call_through_the_tunnel() -> None:
    """Both ends in ambient mode: the wire has port 15008."""
    assert flows(RULE, web("ledger:80"), *LEDGER, ambient("shop")) == ["shop/web -> shop/ledger TCP 15008"]


def test_bad_entry_is_told_and_the_others_count() -> None:
    """One bad entry does not hide the good ones."""
    subject = web("ledger:80, *.example.com:443")
    assert flows(RULE, subject, *LEDGER) == ["shop/web -> shop/ledger TCP 8080"]
    assert findings(RULE, subject, *LEDGER) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: *.example.com:443: the entry is not "
        "understood: "
        "an entry is [namespace/]service[:port], host:port, CIDR:port[/protocol] or apiserver; "
        "an IPv6 address stands in brackets"
    ]


def test_missing_service_is_told() -> None:
    """A Service that is not there is a warning."""
    assert findings(RULE, web("ns-b/gone:80")) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: ns-b/gone:80: there is no Service "
        "ns-b/gone; "
        "create it, or correct the entry"
    ]


def test_missing_port_is_told() -> None:
    """A port that the Service lacks is a warning that lists those that it has."""
    assert findings(RULE, web("ledger:81"), *LEDGER) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: ledger:81: Service shop/ledger has no "
        "port 81; "
        "its ports: 80 (http), 90 (admin)"
    ]
    assert findings(RULE, web("nginx.ns-b:http"), *NGINX) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: nginx.ns-b:http: the entry is not "
        "understood: "
        "http is not a port number from 1 to 65535"
    ]
    assert findings(RULE, web("ns-b/nginx:http"), *NGINX) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: ns-b/nginx:http: Service ns-b/nginx "
        "has no port "
        "http; its ports: 80"
    ]


def test_service_without_pods_is_told() -> None:
    """A Service behind which nothing answers is a warning."""
    assert findings(RULE, web("ledger:80"), LEDGER[0]) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: ledger:80: nothing answers for Service "
        "shop/ledger; compare its selector and ports with the pods'"
    ]


def test_host_without_port_is_told() -> None:
    """Only the name of a Service may lack a port."""
    assert findings(RULE, web("api.example.com")) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: api.example.com: there is no Service "
        "of this "
        "name, and a host needs a port, api.example.com:443 for example"
    ]


def test_missing_name_of_the_cluster_is_told() -> None:
    """A host that spells a Service of the cluster is never asked of DNS."""
    assert findings(RULE, web("gone.shop.svc.cluster.local:80")) == [
        f"unknown-destination warning: Deployment shop/web: {FIELD}: gone.shop.svc.cluster.local:80: there "
        "is no "
        "Service of this name; create it, or correct the entry"
    ]


CANARY = (service("shop/canary", (80, 9080)), listening("shop/canary", 9080))


def splitting(host: str, *gateways: str) -> VirtualService:
    """Sends part of what is addressed to a host to the canary."""
    parts = (Destination("ledger", 80), Destination("canary"))
    return VirtualService(ref("VirtualService", "shop/ledger"), (host,), gateways, (Route("http", parts),))


@pytest.mark.parametrize("host", ["ledger", "ledger.shop.svc.cluster.local"])
def test_sidecars_follow_virtual_services(host: str) -> None:
    """A canary behind another Service is called too, by the sidecar, without the workload knowing."""
    others = (injected("shop"), *LEDGER, *CANARY, splitting(host))
    assert flows(RULE, web("ledger:80"), *others) == [
        "shop/web -> shop/canary TCP 9080",
        "shop/web -> shop/ledger TCP 8080",
    ]
    reasons = [outcome.reason for outcome in outcomes(RULE, web("ledger:80"), *others)]  # type: ignore[union-attr]
    assert reasons[1] == (
        "Deployment shop/web declares that it calls ledger:80, which VirtualService shop/ledger sends to "
        "Service shop/canary"
    )


def test_virtual_services_of_others_are_not_followed() -> None:
    """Without a sidecar, for gateways alone, or for another host, the call goes where it is addressed."""
    direct = ["shop/web -> shop/ledger TCP 8080"]
    assert flows(RULE, web("ledger:80"), *LEDGER, *CANARY, splitting("ledger")) == direct
    mesh = (injected("shop"), *LEDGER, *CANARY)
    assert flows(RULE, web("ledger:80"), *mesh, splitting("ledger", "infra/public")) == direct
    assert flows(RULE, web("ledger:80"), *mesh, splitting("other")) == direct


def test_sidecars_follow_virtual_services_for_hosts_outside_too() -> None:
    """All that is addressed to a host goes to an egress gateway, so nothing may go past it."""
    entry = ServiceEntry(
        ref("ServiceEntry", "shop/api"),
        ("api.example.com",),
        ports=(ServiceEntryPort(443, "TLS"), ServiceEntryPort(80, "HTTP")),
        resolution="STATIC",
        endpoints=(WorkloadEndpoint("192.0.2.9"),),
    )
    matches = (RouteMatch(port=443, sni_hosts=("api.example.com",)),)
    route = Route("tls", (Destination("canary", 80),), matches=matches)
    through = VirtualService(ref("VirtualService", "shop/api"), ("api.example.com",), (), (route,))
    mesh = (injected("shop"), entry, *CANARY, through)
    assert flows(RULE, web("api.example.com:443"), *mesh) == ["shop/web -> shop/canary TCP 9080"]
    assert flows(RULE, web("API.example.com.:443"), *mesh) == ["shop/web -> shop/canary TCP 9080"]
    assert flows(RULE, web("api.example.com:80"), *mesh) == ["shop/web -> 192.0.2.9/32 TCP 80"]
    assert flows(RULE, web("api.example.com:443"), *mesh[1:]) == ["shop/web -> 192.0.2.9/32 TCP 443"]
