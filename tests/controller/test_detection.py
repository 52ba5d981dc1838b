"""What the controller finds out about its cluster by itself, from a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess
from tests.controller.test_on_a_cluster import DENY_ALL, Shop

SETTINGS = """\
apiVersion: istio-netpol.io/v1
kind: Settings
mesh: {{rootNamespace: {root}}}
controller: {{writesPerSecond: 100}}
"""
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
LABELS = {"k8s-app": "names", "tier": "dns"}


def dns(namespace: str = "kube-system") -> list[dict[str, Any]]:
    """Cluster DNS as nobody's defaults have it: labels and a port of its own."""
    ports = [
        {"name": protocol.lower(), "protocol": protocol, "port": 53, "targetPort": 8053}
        for protocol in ("UDP", "TCP")
    ]
    metadata = {"name": "names", "namespace": namespace}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": namespace},
            "spec": {"selector": LABELS, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": LABELS}, "template": template},
        },
    ]


@pytest.fixture
def cluster_dns(control_plane: ControlPlane) -> Iterator[None]:
    """In place of what an earlier test may have left there, with which `apply` would merge it."""
    kubectl = control_plane.kubectl()
    gone = (
        "--namespace",
        "kube-system",
        "delete",
        "--ignore-not-found",
        "service/kube-dns",
        "deployment/names",
    )
    assert kubectl(*gone).code == 0
    assert kubectl.apply(*dns()).code == 0
    yield
    assert kubectl(*gone).code == 0


@pytest.mark.usefixtures("cluster_dns")
def test_the_api_server_and_cluster_dns_are_where_the_cluster_says(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """istiod reaches the API server at the address and port of its EndpointSlice, and the pods behind
    `kube-dns` by their own labels at their own port, with nothing of it in the settings."""
    root = Shop(control_plane)
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS.format(root=root.name))
    labels = {"app": "istiod", "istio": "pilot"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    root.make("Deployment", "istiod", {"selector": {"matchLabels": labels}, "template": template})
    root.make("NetworkPolicy", "deny-all", {**DENY_ALL, "policyTypes": ["Egress"]})
    with ControllerProcess(control_plane.kubeconfig(), root.name, settings):
        wanted = {"dns", "to-apiserver"}
        control_plane.wait_until("istiod has both", lambda: wanted <= set(root.kinds()))
    rules = {
        policy["metadata"]["labels"]["istio-netpol.io/flow"]: policy["spec"]["egress"]
        for policy in root.policies().values()
    }
    slices = control_plane.api().request("GET", SLICE).object
    (endpoint,), (port,) = slices["endpoints"], slices["ports"]
    (address,) = endpoint["addresses"]
    assert rules["to-apiserver"] == [
        {
            "ports": [{"port": port["port"], "protocol": "TCP"}],
            "to": [{"ipBlock": {"cidr": f"{address}/32"}}],
        }
    ]
    home = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    assert rules["dns"] == [
        {
            "ports": [{"port": 8053, "protocol": protocol} for protocol in ("TCP", "UDP")],
            "to": [{"namespaceSelector": home, "podSelector": {"matchLabels": LABELS}}],
        }
    ]
