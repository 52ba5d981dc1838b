"""Sidecar egress hosts that name a callee exactly."""

from __future__ import annotations

from typing import Any

from tests.istio.outcomes import ambient, findings, first_flow, flows, injected, listening, ref, service

from istio_netpol.istio.rules.sidecar_egress import RULE
from istio_netpol.model.istio_networking import ServiceEntry, ServiceEntryPort, Sidecar, SidecarEgress

SHOP = (injected("shop"), listening("shop/web", 80))
LEDGER = (service("pay/ledger", (80, 8080), (90, 9090)), listening("pay/ledger", 8080, 9090))
HOST = "ledger.pay.svc.cluster.local"
FIELD = "spec.egress[0].hosts[0]"


def sidecar(*hosts: str, key: str = "shop/default", port: int = 0, **fields: Any) -> Sidecar:
    return Sidecar(ref("Sidecar", key), egress=(SidecarEgress(hosts, port),), **fields)


def test_exact_host_is_called() -> None:
    """A host in full leads to the pods of the Service, on all its ports."""
    for entry in (f"pay/{HOST}", f"*/{HOST}", HOST):
        assert flows(RULE, sidecar(entry), *SHOP, *LEDGER) == [
            "shop/web -> pay/ledger TCP 8080",
            "shop/web -> pay/ledger TCP 9090",
        ]


def test_listener_port_narrows() -> None:
    """An egress listener with a port means that port of the Service."""
    assert flows(RULE, sidecar(f"pay/{HOST}", port=80), *SHOP, *LEDGER) == ["shop/web -> pay/ledger TCP 8080"]


def test_dot_is_the_own_namespace() -> None:
    """`./host` is a host of the Sidecar's namespace."""
    own = (service("shop/ledger", (80, 8080)), listening("shop/ledger", 8080))
    found = flows(
        RULE, sidecar("./ledger.shop.svc.cluster.local", workload_selector={"app": "web"}), *SHOP, *own
    )
    assert found == ["shop/web -> shop/ledger TCP 8080"]


def test_selector_chooses_the_clients() -> None:
    """Only the selected workloads call."""
    others = (*SHOP, listening("shop/other", 80), *LEDGER)
    found = flows(RULE, sidecar(f"pay/{HOST}", port=80, workload_selector={"app": "other"}), *others)
    assert found == ["shop/other -> pay/ledger TCP 8080"]


def test_wildcards_name_no_need() -> None:
    """Wildcard hosts only bound what may be called; `~` means nothing at all."""
    for entry in ("*/*", "./*", "pay/*", "*/*.pay.svc.cluster.local", "~/*", f"~/{HOST}"):
        assert flows(RULE, sidecar(entry), *SHOP, *LEDGER) == []
        assert findings(RULE, sidecar(entry), *SHOP, *LEDGER) == []


def test_default_of_the_mesh_names_no_need() -> None:
    """A Sidecar of the root namespace without a selector holds for everybody, so for nobody in particular."""
    subject = sidecar(f"pay/{HOST}", key="istio-system/default")
    assert (
        flows(RULE, subject, *SHOP, *LEDGER, injected("istio-system"), listening("istio-system/tool", 80))
        == []
    )


def test_pods_without_sidecar_are_no_clients() -> None:
    """A Sidecar concerns no ambient pods and no gateways."""
    edge = listening("shop/edge", 80, annotations={"inject.istio.io/templates": "gateway"})
    assert flows(RULE, sidecar(f"pay/{HOST}"), ambient("shop"), listening("shop/web", 80), *LEDGER) == []
    assert flows(RULE, sidecar(f"pay/{HOST}", port=80), *SHOP, edge, *LEDGER) == [
        "shop/web -> pay/ledger TCP 8080"
    ]


def test_flow_needs_the_consent_of_the_called_namespace() -> None:
    """The caller's word opens its own egress only."""
    assert first_flow(RULE, sidecar(f"pay/{HOST}"), *SHOP, *LEDGER).agreement.ingress is None


def test_flow_says_why_and_where() -> None:
    """The flow carries the path of the host and a reason."""
    flow = first_flow(RULE, sidecar(f"pay/{HOST}"), *SHOP, *LEDGER)
    assert flow.field == FIELD
    assert flow.reason == f"Sidecar shop/default names pay/{HOST} among the hosts that its workloads call"


def test_host_of_a_service_entry_is_external() -> None:
    """Hosts of ServiceEntries count as well."""
    entry = ServiceEntry(
        ref("ServiceEntry", "shop/api"),
        ("api.example.com",),
        ports=(ServiceEntryPort(443),),
        resolution="DNS",
    )
    assert flows(RULE, sidecar("./api.example.com"), *SHOP, entry) == ["shop/web -> api.example.com TCP 443"]


def test_unknown_host_is_told() -> None:
    """A host that no object declares is a warning."""
    assert findings(RULE, sidecar("./api.example.com"), *SHOP) == [
        f"unknown-destination warning: Sidecar shop/default: {FIELD}: there is no Service or ServiceEntry "
        "with the host "
        "api.example.com; create it, or correct the entry"
    ]


def test_short_host_is_told() -> None:
    """Istio compares full names only."""
    assert findings(RULE, sidecar("pay/ledger.pay"), *SHOP, *LEDGER) == [
        f"unknown-destination warning: Sidecar shop/default: {FIELD}: Istio compares full names, so "
        "ledger.pay matches "
        f"nothing; write {HOST}"
    ]


def test_host_of_another_namespace_is_told() -> None:
    """The namespace before the slash has to be the object's."""
    assert findings(RULE, sidecar(f"./{HOST}"), *SHOP, *LEDGER) == [
        f"unknown-destination warning: Sidecar shop/default: {FIELD}: Service pay/ledger is not in "
        "namespace shop, so "
        f"./{HOST} matches nothing; correct the namespace"
    ]
