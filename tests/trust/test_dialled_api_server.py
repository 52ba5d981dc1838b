"""What a tenant's own variables open: nothing that its annotations could not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from istio_netpol.cli.main import program

CLUSTER = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod}}
    spec: {containers: [{name: discovery}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: istio-system}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: team-a}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: team-a
  labels: LABELS
  annotations: {istio-netpol.io/calls: apiserver}
spec:
  containers:
  - name: web
    env:
    - {name: KUBERNETES_SERVICE_HOST, value: "DIALLED"}
    - {name: KUBERNETES_SERVICE_PORT, value: "80"}
status: {phase: Running, podIP: 10.0.0.5}
"""


@pytest.mark.parametrize("labels", ["{app: web}", "{app: istiod}", "{k8s-app: kube-dns}"])
@pytest.mark.parametrize("host", ["169.254.169.254", "10.96.0.1", "fd00:ec2::254"])
def test_no_address_that_is_refused_is_opened(tmp_path: Path, host: str, labels: str) -> None:
    """Neither for the tenant's pods, whatever their labels, nor for istiod."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER.replace("DIALLED", host).replace("LABELS", labels))
    found = CliRunner().invoke(program, ["generate", str(tmp_path), "--offline"])
    assert host not in found.stdout
    assert "port: 80\n" not in found.stdout


def test_no_host_of_a_tenant_is_opened_for_istiod(tmp_path: Path) -> None:
    """For the tenant's own pods it is a host like any that they name in `calls`."""
    text = CLUSTER.replace("DIALLED", "evil.example.com").replace("LABELS", "{app: istiod}")
    (tmp_path / "cluster.yaml").write_text(text)
    address = "evil.example.com=203.0.114.7"
    found = CliRunner().invoke(program, ["generate", str(tmp_path), "--offline", "--address", address])
    opened = [policy for policy in found.stdout.split("---") if "203.0.114.7" in policy]
    assert len(opened) == 1
    assert "namespace: team-a" in opened[0]
