"""DNS that is open over UDP alone, as it is in policies that Istio and Kyma publish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from istio_netpol.cli.main import program

CLUSTER = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {containers: [{name: cart, image: example.com/cart}]}
---
apiVersion: v1
kind: Pod
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {containers: [{name: coredns, image: example.com/coredns, ports: [{containerPort: 53, protocol: UDP}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod, istio: pilot}}
spec: {containers: [{name: discovery, image: example.com/pilot, ports: [{containerPort: 15012}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mesh, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: istio-system}}}]
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
    ports: [PORTS]
"""


@pytest.mark.parametrize(
    ("ports", "found"),
    [
        ("{port: 53, protocol: UDP}", {("TCP", "warning")}),
        ("{port: 53, protocol: TCP}", {("UDP", "error")}),
        ("{port: 8053, protocol: UDP}", {("TCP", "error"), ("UDP", "error")}),
        ("{port: 53, protocol: UDP}, {port: 53}", set()),
    ],
)
def test_dns_over_tcp_is_dispensable_where_udp_is_open(
    ports: str, found: set[tuple[str, str]], tmp_path: Path
) -> None:
    """What is denied alone over TCP is a warning with its remedy; UDP, and both, are errors."""
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER.replace("PORTS", ports))
    result = CliRunner().invoke(program, ["check", "--offline", "-f", "json", str(file)])
    findings = [finding for finding in json.loads(result.stdout)["findings"] if finding["rule"] == "dns"]
    assert {(finding["flow"]["protocol"], finding["severity"]) for finding in findings} == found
    assert all(finding["remedy"] for finding in findings)
    assert result.exit_code == any(severity == "error" for _, severity in found)
