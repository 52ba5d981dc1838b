"""The component for application namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import Built, built, filled_tree, policies, standard
from tests.values import deployment, namespace

SHOP = [namespace("shop", **{"istio-injection": "enabled"}), deployment("shop/cart")]


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
    proof = shop.proof([*standard(), *SHOP])
    own = [flow for flow in proof.flows if flow.flow.object.namespace == "shop"]
    assert {flow.flow.port for flow in own} == {53, 15012}
    assert all(flow.verdict.allowed and flow.verdict.egress.isolated_by for flow in own)
    assert [finding.message for finding in proof.report.findings] == []


def test_every_rule_of_it_is_missed_when_it_is_taken_away(shop: Built) -> None:
    """It has no rule that a sidecar could do without."""
    assert shop.unnoticed([*standard(), *SHOP], policies(shop.objects)) == []
    assert sum(len(policy.egress) for policy in policies(shop.objects)) == 2
