"""The components for Kyma's modules open what those need and no more, and hurt nobody who runs fewer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.kyma_cluster import kyma_modules, usual_kyma
from tests.bundle.kyma_uses import USES
from tests.bundle.overlays import KUSTOMIZE, policies, with_components

PREFIX = "kyma-"


FOLDERS = {path.name for path in (KUSTOMIZE / "components").iterdir() if path.name.startswith(PREFIX)}
TESTED_APART = {"kyma-metrics", "kyma-module-labels"}


@pytest.mark.parametrize("component", USES)
def test_a_component_opens_what_its_modules_need_and_nothing_else(tree: Path, component: str) -> None:
    """Without it something is denied; with it nothing is, no rule is too wide, and none could be missing."""
    use = USES[component]
    cluster = use.cluster()
    without = with_components(tree, "kind", ["kyma", *use.beside])
    assert without.complaints(cluster, warnings=True) != []
    bundle = with_components(tree, "kind", ["kyma", *use.beside, component])
    assert bundle.complaints(cluster, warnings=True) == []
    plain = {(candidate.key, candidate.ingress, candidate.egress) for candidate in policies(without.objects)}
    own = [
        candidate
        for candidate in policies(bundle.objects)
        if (candidate.key, candidate.ingress, candidate.egress) not in plain
    ]
    assert own
    assert bundle.unnoticed(cluster, own, warnings=True) == []


def test_every_component_for_a_module_is_held_to_this() -> None:
    """Whoever adds one says which modules need it."""
    assert USES.keys() | TESTED_APART == FOLDERS


def test_all_components_together_are_enough_for_all_modules(tree: Path) -> None:
    """Nothing that a module lacks is left, beside all others."""
    bundle = with_components(tree, "kind", ["kyma", *USES])
    cluster = [*usual_kyma(), *kyma_modules(backend="EventMesh")]
    assert bundle.complaints(cluster, warnings=True) == []


def test_components_are_harmless_where_a_module_is_not_installed(tree: Path) -> None:
    """An overlay may list them all: policies that select nothing are not complained of."""
    bundle = with_components(tree, "kind", ["kyma", *USES])
    assert bundle.complaints(usual_kyma(), warnings=True) == []


def test_no_policy_selects_another_module_s_pods(tree: Path) -> None:
    """Labels that modules share are not taken for one module's own."""
    every = kyma_modules(
        *{module for use in USES.values() for module in use.modules}, "telemetry", "serverless"
    )
    for component, use in USES.items():
        bundle = with_components(tree, "kind", [component])
        for policy in policies(bundle.objects):
            if policy.namespace != "kyma-system":
                continue
            selected = {pods.name for pods in every if policy.pod_selector.matches(pods.labels)}
            allowed = {pods.name for pods in kyma_modules(*use.modules)}
            assert selected, policy.key
            assert selected <= allowed, policy.key


def test_nothing_carries_a_label_of_kyma_s_own(tree: Path) -> None:
    """SAP BTP refuses objects in Kyma's namespaces whose labels begin with kyma-project.io/."""
    bundle = with_components(tree, "kind", ["kyma", "kyma-module-labels", *USES])
    labels = {label for policy in policies(bundle.objects) for label in policy.labels}
    assert labels
    assert not [label for label in labels if label.partition("/")[0].endswith("kyma-project.io")]


def test_the_gateway_reaches_itself_for_kyma_s_health_route(tree: Path) -> None:
    """Kyma's default gateway answers healthz by way of its own Service, which leads to any replica."""
    bundle = with_components(tree, "kind", ["kyma"])
    (policy,) = (
        candidate
        for candidate in policies(bundle.objects)
        if candidate.name == "istio-ingressgateway-to-itself"
    )
    assert bundle.complaints(usual_kyma(), warnings=True) == []
    without = [resource for resource in bundle.objects if resource is not policy]
    assert any("15021" in complaint for complaint in bundle.complaints(usual_kyma(), without))
    assert bundle.unnoticed(usual_kyma(), [policy], warnings=True) == []
