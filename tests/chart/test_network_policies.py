"""The chart's own NetworkPolicies, judged by our own engine in a namespace under a deny-all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.chart.rendering import NAMESPACE, manifests, try_to_render
from tests.cluster.fixtures import require

from istio_netpol.cli.main import program

WEBHOOK, CONTROLLER = f"{NAMESPACE}/istio-netpol-webhook", f"{NAMESPACE}/istio-netpol-controller"
NAME = "kubernetes.io/metadata.name"
DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all", "namespace": NAMESPACE},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}


def deployment(namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Pods for the chart's to talk to."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": name, "image": name}]},
            },
        },
    }


def namespace(name: str, **more: str) -> dict[str, Any]:
    labels = {"kubernetes.io/metadata.name": name, **more}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


OTHERS = [
    *map(namespace, (NAMESPACE, "kube-system", "monitoring", "shop")),
    deployment("kube-system", "coredns", {"k8s-app": "kube-dns"}),
    deployment("monitoring", "prometheus", {"app": "prometheus"}),
    deployment("shop", "cart", {"app": "cart"}),
    DENY_ALL,
]
VALUES = {"metrics": {"fromNamespaceLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
KNOWN = {
    **VALUES,
    "networkPolicies": {"apiServer": {"cidrs": ["192.0.2.10/32"], "sourceCidrs": ["192.0.2.0/28"]}},
}


def allows(
    tmp_path: Path,
    values: dict[str, Any],
    source: str,
    destination: str,
    more: Sequence[dict[str, Any]] = (),
) -> bool:
    """What `istio-netpol explain` says of one connection."""
    require("helm")
    path = tmp_path / "cluster.yaml"
    replaced = {
        (manifest["kind"], manifest["metadata"]["name"])
        for manifest in more
        if manifest["kind"] == "Namespace"
    }
    others = [
        manifest for manifest in OTHERS if (manifest["kind"], manifest["metadata"]["name"]) not in replaced
    ]
    path.write_text(yaml.safe_dump_all([*others, *more, *manifests(values)]))
    done = CliRunner().invoke(program, ["explain", str(path), "--from", source, "--to", destination])
    assert done.exit_code in {0, 1}, done.output
    return done.exit_code == 0


NEEDED = [
    ("192.0.2.5", f"{WEBHOOK}:8443"),
    *((ours, f"kube-system/coredns:{port}/{protocol}") for ours in (WEBHOOK, CONTROLLER)
      for port in (53, 8053, 1053) for protocol in ("UDP", "TCP")),
    (WEBHOOK, "192.0.2.10:6443"),
    (CONTROLLER, "192.0.2.10:443"),
    ("monitoring/prometheus", f"{WEBHOOK}:9443"),
    ("monitoring/prometheus", f"{CONTROLLER}:9443"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "destination"), NEEDED)
def test_ours_works_under_a_deny_all(tmp_path: Path, source: str, destination: str) -> None:
    """Reviews and scrapes come in, DNS and the API server can be reached, whatever else is denied."""
    assert allows(tmp_path, VALUES, source, destination)
    assert allows(tmp_path, KNOWN, source, destination)
    assert not allows(tmp_path, {"networkPolicies": {"enabled": False}}, source, destination)


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("shop/cart", f"{WEBHOOK}:9443"),
        ("shop/cart", f"{CONTROLLER}:8443"),
        (WEBHOOK, "192.0.2.10:80"),
        (CONTROLLER, "shop/cart:8080"),
        (WEBHOOK, "shop/cart:53"),
    ],
)
def test_nothing_else_is_open(tmp_path: Path, source: str, destination: str) -> None:
    """What we have no use for stays closed."""
    assert not allows(tmp_path, VALUES, source, destination)


@pytest.mark.parametrize(
    ("source", "destination"),
    [("198.51.100.7", f"{WEBHOOK}:8443"), (WEBHOOK, "198.51.100.7:443"), ("shop/cart", f"{WEBHOOK}:8443")],
)
def test_a_known_api_server_is_the_only_one(tmp_path: Path, source: str, destination: str) -> None:
    """With the API server's addresses as values, no other address is open."""
    assert not allows(tmp_path, KNOWN, source, destination)


GARDENER = yaml.safe_load((Path(__file__).parent / "sets" / "gardener.yaml").read_text())
EKS_AUTO = yaml.safe_load((Path(__file__).parent / "sets" / "eks-auto.yaml").read_text())
TUNNEL = [
    namespace("kube-system", **{"gardener.cloud/purpose": "kube-system"}),
    deployment("kube-system", "vpn-shoot", {"app": "vpn-shoot"}),
    deployment("kube-system", "node-local-dns", {"k8s-app": "node-local-dns"}),
    deployment("shop", "vpn-shoot", {"app": "vpn-shoot"}),
]
PLATFORMS = [
    (GARDENER, "kube-system/vpn-shoot", f"{WEBHOOK}:8443", True),
    (GARDENER, "10.1.0.9", f"{WEBHOOK}:8443", True),
    (GARDENER, "shop/vpn-shoot", f"{WEBHOOK}:8443", False),
    (GARDENER, "kube-system/coredns", f"{WEBHOOK}:8443", False),
    (GARDENER, "198.51.100.4", f"{WEBHOOK}:8443", False),
    (GARDENER, WEBHOOK, "198.51.100.5:443", True),
    (GARDENER, CONTROLLER, "198.51.100.4:443", True),
    (GARDENER, CONTROLLER, "198.51.100.4:8443", False),
    (GARDENER, WEBHOOK, "198.51.100.6:443", False),
    (GARDENER, WEBHOOK, "kube-system/coredns:8053/UDP", True),
    (GARDENER, WEBHOOK, "kube-system/coredns:53/UDP", False),
    (GARDENER, WEBHOOK, "kube-system/node-local-dns:53/UDP", True),
    (GARDENER, WEBHOOK, "kube-system/node-local-dns:8053/UDP", False),
    (GARDENER, CONTROLLER, "169.254.20.10:53/UDP", True),
    (GARDENER, CONTROLLER, "169.254.20.10:8053/UDP", False),
    (EKS_AUTO, WEBHOOK, "172.20.0.1:443", True),
    (EKS_AUTO, WEBHOOK, "172.20.0.10:53/UDP", True),
    (EKS_AUTO, WEBHOOK, "172.20.0.10:443", False),
    (EKS_AUTO, WEBHOOK, "kube-system/coredns:53/UDP", False),
]


@pytest.mark.parametrize(("values", "source", "destination", "is_open"), PLATFORMS)
def test_a_platform_s_own_peers_are_the_only_ones(
    tmp_path: Path, values: dict[str, Any], source: str, destination: str, is_open: bool
) -> None:
    """Who calls, what is dialled and where DNS answers is told to the chart: nothing else is open."""
    assert allows(tmp_path, values, source, destination, TUNNEL) is is_open


def test_dns_that_nobody_answers_is_refused() -> None:
    """Without pods and without addresses the webhook would resolve nothing."""
    require("helm")
    done = try_to_render({"networkPolicies": {"dns": {"pods": False}}})
    assert "name the addresses at which DNS answers in networkPolicies.dns.cidrs" in done.stderr


@pytest.mark.parametrize(
    ("served", "source", "is_open"),
    [
        ({"enabled": True}, "shop/cart", False),
        ({"enabled": True, "fromNamespaceLabels": {NAME: "shop"}}, "shop/cart", True),
        ({"enabled": True, "fromNamespaceLabels": {NAME: "shop"}}, "monitoring/prometheus", False),
        ({"enabled": False, "fromNamespaceLabels": {NAME: "shop"}}, "shop/cart", False),
    ],
)
def test_the_map_is_reached_from_named_namespaces_alone(
    tmp_path: Path, served: dict[str, Any], source: str, is_open: bool
) -> None:
    """As shipped from no pod: port-forwarding is no matter of policies."""
    assert allows(tmp_path, {"map": served}, source, f"{WEBHOOK}:8444") is is_open


@pytest.mark.parametrize("port", [8443, 9999])
def test_check_finds_nothing_that_ours_lacks(tmp_path: Path, port: int) -> None:
    """Under a deny-all the chart's policies are all that our pods need, on whatever port; without them each
    need is told."""
    require("helm")
    path = tmp_path / "cluster.yaml"
    for enabled, denied in ((True, set()), (False, {"dns", "to-apiserver", "webhook-from-apiserver"})):
        values = {"webhook": {"port": port}, "networkPolicies": {"enabled": enabled}}
        path.write_text(yaml.safe_dump_all([*OTHERS, *manifests(values)]))
        done = CliRunner().invoke(program, ["check", str(path), "-f", "json"])
        found = json.loads(done.stdout)["findings"]
        told = {finding["rule"] for finding in found if finding["severity"] == "error"}
        assert told == denied, done.output
        asked = {finding["flow"]["port"] for finding in found if finding["rule"] == "webhook-from-apiserver"}
        assert asked == (set() if enabled else {port})
