"""The JSON documents have exactly the documented shapes."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from tests.report.results import (
    CLIENTS_DENIED,
    FROM_GATEWAY,
    GATEWAY_DENIED,
    JWT,
    KEYS_DENIED,
    REPORT,
    SELECTS_NOTHING,
    TO_KEYS,
    UNRESOLVED,
    to_keys,
)

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.model.findings import Finding
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.report.json_format import json_report
from istio_netpol.report.remedies import LARGE


def entries(*findings: Finding) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads(json_report(Report(findings, Summary())))
    return list(document["findings"])


def test_the_document_has_these_keys() -> None:
    """Version, kind, findings, the six figures, what was not read, what was assumed, and of what nothing is
    known; and what does not count."""
    document = json.loads(json_report(REPORT))
    assert list(document) == [
        "apiVersion",
        "kind",
        "findings",
        "summary",
        "notRead",
        "assumed",
        "undeclared",
        "accepted",
        "notCounted",
    ]
    assert (document["apiVersion"], document["kind"]) == ("istio-netpol.io/v1", "Report")
    assert document["summary"] == {
        "objects": 34,
        "flows": 120,
        "denied": 3,
        "deniedConnections": 2,
        "deniedPairs": 1,
        "unknown": 1,
    }
    assert document["notRead"] == [
        {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "count": 1},
        {"apiVersion": "v1", "kind": "Secret", "count": 1},
    ]
    assert document["undeclared"][1] == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "namespace": "shop",
        "name": "db",
        "file": "",
        "line": 0,
        "policies": ["shop/db-from-cart"],
    }


def test_a_denied_flow_has_these_keys() -> None:
    """A finding with two workloads as peers."""
    (entry,) = entries(GATEWAY_DENIED)
    remedy = entry.pop("remedy")
    assert entry == {
        "rule": "gateway-to-workload",
        "severity": "error",
        "object": {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "namespace": "shop",
            "name": "cart",
            "file": "manifests/my shop.yaml",
            "line": 12,
        },
        "flow": {
            "source": {
                "namespace": "istio-system",
                "kind": "Deployment",
                "name": "istio-ingressgateway",
                "labels": {"istio": "ingressgateway"},
            },
            "destination": {
                "namespace": "shop",
                "kind": "Deployment",
                "name": "cart",
                "labels": {"app": "cart", "version": "1"},
            },
            "protocol": "TCP",
            "port": 8080,
        },
        "denied": {"egress": ["istio-system/default-deny"], "ingress": []},
        "message": GATEWAY_DENIED.message,
    }
    assert [policy["metadata"]["name"] for policy in remedy] == [FROM_GATEWAY.name]


def test_one_resolved_address_is_a_cidr() -> None:
    """A host with one address is printed as that address."""
    assert [entry["flow"]["destination"] for entry in entries(KEYS_DENIED)] == [{"cidr": "192.0.2.7/32"}]


def test_several_addresses_of_a_host_are_its_name() -> None:
    """No single CIDR stands for them; the remedy has them all."""
    finding = to_keys(JWT, TO_KEYS, "192.0.2.7", "198.51.100.9")
    assert [entry["flow"]["destination"] for entry in entries(finding)] == [{"host": "keys.example.com"}]


def test_several_addresses_without_a_host_are_an_entry_each() -> None:
    """A peer is one CIDR, so a flow to two is told twice."""
    finding = to_keys(JWT, TO_KEYS, "192.0.2.7", "198.51.100.9", host="")
    found = [entry["flow"]["destination"] for entry in entries(finding)]
    assert found == [{"cidr": "192.0.2.7/32"}, {"cidr": "198.51.100.9/32"}]


def test_an_unresolved_host_is_a_host() -> None:
    """What has no address is printed by name."""
    assert entries(UNRESOLVED)[0]["flow"]["destination"] == {"host": "keys.example.org"}


def test_whoever_it_may_be_is_any() -> None:
    """Clients of a gateway have no name."""
    (entry,) = entries(CLIENTS_DENIED)
    assert entry["flow"]["source"] == {"any": True}
    assert entry["denied"] == {"egress": [], "ingress": ["shop/default-deny"]}


def test_a_finding_without_a_flow_has_null() -> None:
    """And no policies that deny, no remedy, no file."""
    (entry,) = entries(SELECTS_NOTHING)
    assert entry["flow"] is None
    assert entry["denied"] == {"egress": [], "ingress": []}
    assert entry["remedy"] == []
    assert (entry["object"]["file"], entry["object"]["line"]) == ("", 0)


def test_a_large_policy_that_mends_many_findings_stands_in_the_first() -> None:
    """The others name it, so that a document does not grow with the square of the workloads."""
    (rule,) = FROM_GATEWAY.egress
    many = tuple(PolicyPeer(pod_selector=Selector.of({"app": f"a{number}"})) for number in range(LARGE))
    large = replace(FROM_GATEWAY, egress=(replace(rule, peers=many),))
    finding = replace(GATEWAY_DENIED, remedy=(large,))
    first, *others = entries(finding, finding, finding)
    assert [policy["metadata"]["name"] for policy in first["remedy"]] == [large.name]
    assert "remedyAbove" not in first
    assert [(other["remedy"], other["remedyAbove"]) for other in others] == 2 * [([], [large.key])]
    assert [len(entry["remedy"]) for entry in entries(GATEWAY_DENIED, GATEWAY_DENIED)] == [1, 1]
