"""Each overlay is proved against the manifests that Istio itself renders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.istio_manifests import INSTALLATIONS, NEEDED, gateway_chart, installed
from tests.bundle.overlays import OVERLAYS, Built, built, filled_tree, kustomize_build, objects_of

from istio_netpol.analysis.narrowing import with_rules
from istio_netpol.model.findings import Severity
from istio_netpol.model.policies import Direction, NetworkPolicy


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with all values set."""
    return filled_tree(tmp_path_factory.mktemp("bundle"))


def with_components(tree: Path, overlay: str, components: Sequence[str]) -> Built:
    """An overlay with further components, before the one that sets values."""
    file = tree / "overlays" / overlay / "kustomization.yaml"
    text = file.read_text()
    added = "".join(f"- ../../components/{each}\n" for each in components)
    try:
        file.write_text(text.replace("- ../../components/api-gateway\n", added))
        return built(file.parent)
    finally:
        file.write_text(text)


@pytest.mark.parametrize("installation", INSTALLATIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_fits_what_istio_installs(tree: Path, overlay: str, installation: str) -> None:
    """Nothing that Istio needs is denied, and no rule for what runs is wider than that."""
    bundle = with_components(tree, overlay, NEEDED.get(installation, []))
    proof = bundle.proof(installed(*INSTALLATIONS[installation]))
    assert [each.message for each in proof.report.findings if each.severity is not Severity.INFO] == []
    assert proof.report.summary.flows >= 7


def test_the_gateway_chart_needs_its_component(tree: Path) -> None:
    """Its pods listen on 80 and 443, so the ports of the classic chart are not enough, and too many."""
    control_plane = gateway_chart()
    without = with_components(tree, "kind", []).proof(control_plane)
    assert {each.flow.port for each in without.flows if not each.verdict.allowed} == {80, 443}
    proof = with_components(tree, "kind", ["gateway-chart"]).proof(control_plane)
    assert [each.message for each in proof.report.findings if each.severity is not Severity.INFO] == []


@pytest.mark.parametrize("component", ["ambient", "egress-gateway", "gateway-chart"])
def test_every_rule_of_a_component_is_missed_when_it_is_taken_away(tree: Path, component: str) -> None:
    """A component has no rule that its installation could do without."""
    names = [name for name, needed in NEEDED.items() if component in needed]
    control_plane = installed(*INSTALLATIONS[names[0]]) if names else gateway_chart()
    plain = {each.key for each in _policies(with_components(tree, "kind", []).objects)}
    bundle = with_components(tree, "kind", [component])
    own = [each for each in _policies(bundle.objects) if each.key not in plain]
    if component == "gateway-chart":
        own = [each for each in _policies(bundle.objects) if each.name.endswith("-from-clients")]
    assert own
    for policy in own:
        for direction in Direction:
            for index in range(len(policy.rules(direction))):
                rules = policy.rules(direction)
                weaker = with_rules(policy, direction, rules[:index] + rules[index + 1 :])
                objects = [weaker if each is policy else each for each in bundle.objects]
                findings = bundle.proof(control_plane, objects).report.findings
                assert any(each.severity is Severity.ERROR for each in findings), f"{policy.key} {index}"


def _monitored(tree: Path, namespace: str) -> Built:
    """An overlay whose metrics the pods of a namespace scrape, and an environment that says so."""
    values = tree / "overlays" / "kind" / "values.yaml"
    text = values.read_text()
    try:
        values.write_text(f"{text}metrics:\n  namespace: {namespace}\n")
        bundle = with_components(tree, "kind", ["metrics", "egress-gateway", "ambient"])
    finally:
        values.write_text(text)
    return replace(
        bundle, settings=replace(bundle.settings, check_scrape=True, scrape_namespaces=("monitoring",))
    )


PROMETHEUS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: monitoring}
spec:
  selector: {matchLabels: {app: prometheus}}
  template:
    metadata: {labels: {app: prometheus}}
    spec: {containers: [{name: prometheus, image: prometheus}]}
"""


@pytest.mark.parametrize("installation", ["demo", "ambient"])
def test_metrics_are_scraped_from_the_namespace_that_values_name(tree: Path, installation: str) -> None:
    """Prometheus gets all of them, and no other namespace any."""
    control_plane = [*installed(*INSTALLATIONS[installation]), *objects_of(PROMETHEUS)]
    proof = _monitored(tree, "monitoring").proof(control_plane)
    assert [each.message for each in proof.report.findings if each.severity is not Severity.INFO] == []
    elsewhere = _monitored(tree, "shop").proof(control_plane)
    denied = {each.flow.port for each in elsewhere.flows if not each.verdict.allowed}
    assert denied == ({15014, 15020, 15090} if installation == "demo" else {15014, 15020})


def test_metrics_without_a_namespace_fail_the_build(tree: Path) -> None:
    """Nobody opens metrics to a namespace that is not there."""
    file = tree / "overlays" / "kind" / "kustomization.yaml"
    text = file.read_text()
    try:
        file.write_text(text.replace("- ../../components/values\n", "- ../../components/metrics\n"))
        result = kustomize_build(file.parent)
    finally:
        file.write_text(text)
    assert result.returncode != 0
    assert "`metrics.namespace` is missing" in result.stderr


def _policies(objects: Sequence[Any]) -> list[NetworkPolicy]:
    return [each for each in objects if isinstance(each, NetworkPolicy)]
