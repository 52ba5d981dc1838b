"""Each overlay builds, and allows exactly what its control plane needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.bundle.overlays import (
    KUSTOMIZE,
    OVERLAYS,
    UNSET,
    built,
    built_variant,
    filled_tree,
    kustomize_build,
    policies,
    standard,
    standard_for,
    variants,
    with_components,
)
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.analysis.bundle_proof.bundle_report import PolicyChanges, changes
from istio_netpol.model.findings import Severity


@pytest.mark.parametrize("name", variants())
def test_an_overlay_allows_what_its_control_plane_needs_and_nothing_else(tree: Path, name: str) -> None:
    """A platform team that applies it neither breaks Istio nor opens anything that nobody uses."""
    overlay = built_variant(tree, name)
    proof = overlay.proof(standard_for(overlay))
    severities = {finding.severity for finding in proof.report.findings}
    assert severities <= ({Severity.INFO} if name == "kyma-btp" else set())
    assert all(flow.verdict.allowed for flow in proof.flows)
    assert len(proof.flows) >= 12


@pytest.mark.parametrize("name", OVERLAYS)
def test_kubectl_builds_the_same_as_kustomize(tree: Path, name: str) -> None:
    """Whoever has only kubectl gets the same policies."""
    require("kubectl")
    folder = str(tree / "overlays" / name)
    command = [str(located("kubectl")), "kustomize", folder]
    by_kubectl = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert by_kubectl == kustomize_build(tree / "overlays" / name).stdout


def _unset() -> list[tuple[str, str]]:
    shown = {name: (KUSTOMIZE / "overlays" / name / "values.yaml").read_text() for name in OVERLAYS}
    return [(name, value) for name in OVERLAYS for value in UNSET if UNSET[value] in shown[name]]


@pytest.mark.parametrize(("name", "value"), _unset())
def test_a_value_that_is_not_set_fails_the_build_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    """Nobody installs a bundle whose API server or DNS is at an invented address."""
    overlay = filled_tree(tmp_path) / "overlays" / name
    values, unset = overlay / "values.yaml", UNSET[value]
    values.write_text(values.read_text().replace(unset.replace("  # ", "  "), unset))
    result = kustomize_build(overlay)
    assert result.returncode != 0
    assert f"`{value}` is missing" in result.stderr
    assert "values.yaml" in result.stderr


ADDRESSES = {
    "an API server": ("kind", "172.16.0.0/12"),
    "what the API server's name leads to": ("gardener", "0.0.0.0/0"),
    "the DNS Service": ("gardener", "203.0.113.53/32"),
    "the DNS Service of EKS Auto Mode": ("eks-auto", "203.0.113.53/32"),
    "another DNS server": ("gke", "169.254.169.254/32"),
}


@pytest.mark.parametrize(("name", "cidr"), ADDRESSES.values(), ids=list(ADDRESSES))
def test_an_address_without_prefix_length_fails_the_build(tmp_path: Path, name: str, cidr: str) -> None:
    """A plain address is told by the build, not by the API server when the deny-all is already there."""
    overlay = filled_tree(tmp_path) / "overlays" / name
    values, plain = overlay / "values.yaml", cidr.partition("/")[0]
    values.write_text(values.read_text().replace(cidr, plain))
    result = kustomize_build(overlay)
    assert result.returncode != 0
    assert plain in result.stderr


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """The address of a git repository that has the bundle at the tag of the page; its branch has moved on."""
    folder = tmp_path / "repository"
    filled_tree(folder)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    moved = ["rm", "-q", "-r", "kustomize/base"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "1"], ["tag", "v1.0.0"], moved):
        subprocess.run([*git, *command], check=True, capture_output=True)
    subprocess.run([*git, "commit", "-q", "-m", "Move on"], check=True)
    return f"file://{folder}"


def test_a_user_s_overlay_builds_on_a_ref_of_the_repository(repository: str, tmp_path: Path) -> None:
    """A team pins an overlay by git URL and ref; what the branch has become does not matter."""
    own = tmp_path / "own"
    own.mkdir()
    url = f"{repository}//kustomize/overlays/kind?ref=v1.0.0"
    (own / "kustomization.yaml").write_text(f"resources:\n- {url}\n")
    assert kustomize_build(own).stdout == kustomize_build(KUSTOMIZE / "overlays" / "kind").stdout


def test_the_page_s_kustomization_builds_on_a_ref_with_values_of_its_own(
    repository: str, tree: Path, tmp_path: Path
) -> None:
    """Bases and components by git URL, and only values.yaml in the team's own repository."""
    page = (KUSTOMIZE / "README.md").read_text()
    (shown,) = re.findall(r"^    (resources:\n    - https:(?:.*\n    )+.*\n)", page, re.MULTILINE)
    own = tmp_path / "own"
    own.mkdir()
    text = shown.replace("\n    ", "\n").replace("https://example.com/istio-netpol.git", repository)
    (own / "kustomization.yaml").write_text(text)
    (own / "values.yaml").write_text((tree / "overlays" / "generic" / "values.yaml").read_text())
    local = with_components(tree, "generic", [])
    assert kustomize_build(own).stdout.count("kind: Namespace") == 1
    assert changes(local.objects, built(own).objects) == PolicyChanges()


@pytest.mark.parametrize("name", variants())
def test_namespaces_outlive_the_bundle(tree: Path, name: str) -> None:
    """Removing the bundle from git doesn't remove Istio with its namespace."""
    overlay = built_variant(tree, name)
    namespaces = [
        manifest for manifest in overlay.manifests.split("---\n") if "kind: Namespace\n" in manifest
    ]
    assert name == "kyma-btp" or len(namespaces) == len(
        {policy.namespace for policy in policies(overlay.objects)}
    )
    assert all(
        "sync-options: Prune=false" in namespace and "prune: disabled" in namespace
        for namespace in namespaces
    )


@pytest.mark.parametrize("name", [overlay for overlay in OVERLAYS if not overlay.startswith("kyma")])
def test_plain_istio_needs_nothing_of_kyma(tree: Path, name: str) -> None:
    """Whoever runs no Kyma gets neither its namespace nor a policy for it."""
    overlay = built(tree / "overlays" / name)
    assert "kyma" not in overlay.manifests
    assert {policy.namespace for policy in policies(overlay.objects)} == {"istio-system"}


def test_a_port_that_differs_from_the_environment_s_is_told(tree: Path) -> None:
    """Who changes the API server's port in values.yaml alone learns it from the proof."""
    values = tree / "overlays" / "gke" / "values.yaml"
    text = values.read_text()
    try:
        values.write_text(text.replace("port: 443", "port: 6443"))
        overlay = built(values.parent)
    finally:
        values.write_text(text)
    assert any("TCP 443" in complaint for complaint in overlay.complaints(standard()))
