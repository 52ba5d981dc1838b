"""The component for application namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import Built, built, filled_tree, objects_of, standard

from istio_netpol.analysis.narrowing import with_rules
from istio_netpol.model.findings import Severity
from istio_netpol.model.policies import Direction, NetworkPolicy

SHOP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, image: cart}]}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Built:
    """The component in a namespace of sidecars."""
    folder = filled_tree(tmp_path) / "shop"
    folder.mkdir()
    text = "namespace: shop\ncomponents:\n- ../components/app-namespace\n"
    (folder / "kustomization.yaml").write_text(text)
    return built(folder)


def test_sidecars_start_in_a_namespace_that_denies_all(shop: Built) -> None:
    """They reach DNS and istiod, and no rule is wider than that."""
    proof = shop.proof([*standard(), *objects_of(SHOP)])
    own = [each for each in proof.flows if each.flow.object.namespace == "shop"]
    assert {each.flow.port for each in own} == {53, 15012}
    assert all(each.verdict.allowed and each.verdict.egress.isolated_by for each in own)
    assert [each.message for each in proof.report.findings] == []


def test_every_rule_of_it_is_missed_when_it_is_taken_away(shop: Built) -> None:
    """It has no rule that a sidecar could do without."""
    control_plane = [*standard(), *objects_of(SHOP)]
    weakened = 0
    for policy in shop.objects:
        assert isinstance(policy, NetworkPolicy)
        for index in range(len(policy.egress)):
            rules = policy.egress[:index] + policy.egress[index + 1 :]
            weaker = with_rules(policy, Direction.EGRESS, rules)
            objects = [weaker if each is policy else each for each in shop.objects]
            findings = shop.proof(control_plane, objects).report.findings
            assert any(each.severity is Severity.ERROR for each in findings), policy.key
            weakened += 1
    assert weakened == 2
