"""Each overlay is proved against the manifests that Istio itself renders."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.istio_charts import gateway_chart
from tests.bundle.istio_manifests import INSTALLATIONS, NEEDED, installed, minimal
from tests.bundle.overlays import OVERLAYS, NoResolver, with_components

from istio_netpol.analysis.check import check
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.state.snapshot import Snapshot

PLAIN = tuple(name for name in OVERLAYS if not name.startswith("kyma"))
"""Overlays for clusters in which Istio runs alone."""


@pytest.mark.parametrize("installation", INSTALLATIONS)
@pytest.mark.parametrize("overlay", PLAIN)
def test_an_overlay_fits_what_istio_installs(tree: Path, overlay: str, installation: str) -> None:
    """Nothing that Istio needs is denied, and no rule for what runs is wider than that."""
    bundle = with_components(tree, overlay, NEEDED.get(installation, []))
    control_plane = installed(*INSTALLATIONS[installation])
    assert bundle.complaints(control_plane, warnings=True) == []
    assert bundle.proof(control_plane).report.summary.flows >= 7


def test_the_gateway_chart_needs_its_component(tree: Path) -> None:
    """Its pods listen on 80 and 443, so the ports of the classic chart are not enough, and too many."""
    control_plane = [*gateway_chart("istio-ingressgateway"), *minimal()]
    without = with_components(tree, "kind", []).proof(control_plane)
    assert {flow.flow.port for flow in without.flows if not flow.verdict.allowed} == {80, 443}
    assert with_components(tree, "kind", ["gateway-chart"]).complaints(control_plane, warnings=True) == []


def test_istiods_of_several_revisions_need_no_component(tree: Path) -> None:
    """During an upgrade both istiods work and are reached: policies select what all revisions carry."""
    control_plane = [*installed(*INSTALLATIONS["default"]), *installed(*INSTALLATIONS["a revision"])]
    bundle = with_components(tree, "kind", [])
    assert bundle.complaints(control_plane, warnings=True) == []
    flows = [flow.flow for flow in bundle.proof(control_plane).flows]
    reached = {str(flow.destination) for flow in flows if flow.kind is FlowKind.WEBHOOK_FROM_APISERVER}
    assert reached == {f"Deployment istio-system/{name}" for name in ("istiod", "istiod-canary")}


@pytest.mark.parametrize("overlay", PLAIN)
@pytest.mark.parametrize("installation", ["default", "ambient", ""])
def test_check_finds_nothing_about_an_overlays_policies(tree: Path, overlay: str, installation: str) -> None:
    """Neither with the control plane nor without it, when nobody sees what its policies are for; but that
    Gardener's API server may be anywhere is told then, like of anybody's rule for the internet."""
    bundle = with_components(tree, overlay, NEEDED.get(installation, []))
    running = installed(*INSTALLATIONS[installation]) if installation else []
    report = check(Snapshot.of([*running, *bundle.objects]), bundle.settings, NoResolver())
    odd = [
        finding
        for finding in report.findings
        if finding.object.kind == "NetworkPolicy" and finding.rule is not Issue.POLICY_SELECTS_NOTHING
    ]
    is_told = (overlay, installation) == ("gardener", "")
    assert {finding.object.name for finding in odd} == (
        {"istiod-to-apiserver", "istio-cni-node-to-apiserver"} if is_told else set()
    )
