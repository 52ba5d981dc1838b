"""Components choose the policies that they change by the label `istio-netpol.io/bundle`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.bundle.overlays import KUSTOMIZE, filled_tree, kustomize_build

CHOSEN = re.compile(r".+-((?:to|from)-apiserver|to-dns)")
SHIPPED = sorted((KUSTOMIZE / "base").rglob("*.yaml")) + sorted((KUSTOMIZE / "components").rglob("*.yaml"))


def _policies(file: Path) -> list[dict[str, dict[str, object]]]:
    documents = yaml.safe_load_all(file.read_text())
    return [document for document in documents if document and document.get("kind") == "NetworkPolicy"]


@pytest.mark.parametrize("kind", ["to-apiserver", "from-apiserver", "to-dns"])
def test_a_policy_has_the_label_that_its_name_says(kind: str) -> None:
    """Without it a new policy would keep an address that nobody has, or the port of another platform."""
    labelled, named = set(), set()
    for file in SHIPPED:
        for metadata in (policy["metadata"] for policy in _policies(file)):
            labels, name = metadata.get("labels", {}), str(metadata["name"])
            assert isinstance(labels, dict)
            found = CHOSEN.fullmatch(name)
            labelled |= {name} if labels.get("istio-netpol.io/bundle") == kind else set()
            named |= {name} if found and found[1] == kind else set()
    assert labelled == named != set()


OWN = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: mine
  namespace: istio-system
  labels: {istio-netpol.io/bundle: to-apiserver}
spec:
  podSelector: {matchLabels: {app: mine}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{protocol: TCP, port: 1}]}]
"""


def test_a_policy_of_the_user_s_own_gets_the_values_by_its_label(tmp_path: Path) -> None:
    """Nobody forks the component `values` to say for one more workload where the API server is."""
    overlay = filled_tree(tmp_path) / "overlays" / "gke"
    (overlay / "mine.yaml").write_text(OWN)
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("- values.yaml\n", "- mine.yaml\n- values.yaml\n"))
    documents = list(yaml.safe_load_all(kustomize_build(overlay).stdout))
    (mine,) = [document for document in documents if document["metadata"]["name"] == "mine"]
    (rule,) = mine["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "203.0.113.10/32"}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
