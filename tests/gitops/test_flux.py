"""What docs/flux.md shows: Flux's own definitions accept it, and its two steps are in the right order."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bundle.overlays import KUSTOMIZE, OVERLAYS, filled_tree, kustomize_build
from tests.chart.rendering import CHART, try_to_render
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import FLUX_HELM, FLUX_KUSTOMIZE, FLUX_SOURCE, defined
from tests.cluster.fixtures import require, require_go
from tests.gitops.pages import files, objects

FILE = "clusters/prod/istio-netpol.yaml"


def shown(kind: str) -> dict[str, Any]:
    """The objects of the page of one kind, by name."""
    return {
        manifest["metadata"]["name"]: manifest
        for manifest in objects("flux.md", FILE)
        if manifest["kind"] == kind
    }


def test_flux_s_own_definitions_accept_every_object(control_plane: ControlPlane) -> None:
    """A strict dry run against the CustomResourceDefinitions that Flux installs."""
    require_go()
    control_plane.kubectl()("create", "namespace", "flux-system")
    with defined(control_plane, FLUX_SOURCE, FLUX_KUSTOMIZE, FLUX_HELM):
        options = ("--server-side", "--dry-run=server", "--validate=strict", "--filename", "-")
        outcome = control_plane.kubectl()("apply", *options, stdin=files("flux.md")[FILE])
        assert (outcome.code, outcome.stderr) == (0, "")
        assert outcome.stdout.count("serverside-applied") == 4


def test_what_they_point_to_is_there() -> None:
    """Paths lead to folders of this repository, and names to objects of the page."""
    (source,) = shown("GitRepository")
    steps, (release,) = shown("Kustomization"), shown("HelmRelease").values()
    for step in steps.values():
        assert step["spec"]["sourceRef"]["name"] == source
        assert (KUSTOMIZE.parent / step["spec"]["path"] / "kustomization.yaml").is_file()
        assert {dependency["name"] for dependency in step["spec"].get("dependsOn", ())} <= steps.keys()
    assert release["spec"]["chart"]["spec"]["sourceRef"]["name"] == source
    assert (KUSTOMIZE.parent / release["spec"]["chart"]["spec"]["chart"]).resolve() == CHART


def test_the_chart_takes_the_values() -> None:
    """The release renders with what the page sets."""
    require("helm")
    (release,) = shown("HelmRelease").values()
    done = try_to_render(release["spec"]["values"])
    assert done.returncode == 0, done.stderr
    assert "registry.example.com/istio-netpol" in done.stdout


def step(tree: Path, overlay: str, name: str) -> list[tuple[str, str, str]]:
    """Kind, namespace and name of what a Kustomization of the page applies. Flux adds its patches to those
    of the folder (fluxcd/pkg kustomize, kustomize_generator.go)."""
    folder = tree / "overlays" / f"{overlay}-{name}"
    shutil.copytree(tree / "overlays" / overlay, folder)
    file = folder / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    content["patches"] = [*content.get("patches", ()), *shown("Kustomization")[name]["spec"]["patches"]]
    file.write_text(yaml.safe_dump(content))
    result = kustomize_build(folder)
    assert result.returncode == 0, result.stderr
    return [_identity(document) for document in yaml.safe_load_all(result.stdout) if document]


def _identity(manifest: dict[str, Any]) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


ADDED = (
    "webhook",
    "kyma",
    "document-literal",
    "egress-gateway",
    "kyma-module-labels",
    "metrics",
    "ambient",
    "tracing",
)
VALUES = """
documentLiteral: {acceptedBy: auditors}
metrics: {namespace: monitoring}
tracing: {namespace: observability, podLabels: {app: otel}, port: 4317}
"""


OWN = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: zzz-mine, namespace: istio-system}
spec: {podSelector: {matchLabels: {app: mine}}, ingress: [{}], policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a-deny-of-mine, namespace: istio-system, labels: {istio-netpol.io/bundle: default-deny}}
spec: {podSelector: {matchLabels: {app: mine}}, policyTypes: [Ingress]}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, with every component that has policies in the overlay for kind, and a user's own."""
    tree = filled_tree(tmp_path_factory.mktemp("flux"))
    kind = tree / "overlays" / "kind"
    more = "".join(f"- ../../components/{component}\n" for component in ADDED)
    file = kind / "kustomization.yaml"
    text = file.read_text().replace("components:\n", f"components:\n{more}")
    file.write_text(text.replace("- values.yaml\n", "- values.yaml\n- own.yaml\n"))
    (kind / "own.yaml").write_text(OWN)
    (kind / "values.yaml").write_text((kind / "values.yaml").read_text() + VALUES)
    return tree


DENIALS = {
    "kind": ["istio-netpol", "istio-system", "istio-system", "kyma-system"],
    "kyma-gardener": ["istio-system", "kyma-system"],
    "kyma-btp": [],
}
"""The namespaces of what the second step applies, where it is not istio-system alone."""


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_two_steps_are_the_overlay_with_the_denials_last(tree: Path, overlay: str) -> None:
    """Nothing is lost or applied by both, and the second step is the denials alone, whatever their names."""
    whole = kustomize_build(tree / "overlays" / overlay)
    allow, deny = step(tree, overlay, "istio-netpol-allow"), step(tree, overlay, "istio-netpol-deny")
    assert sorted([*allow, *deny]) == sorted(map(_identity, yaml.safe_load_all(whole.stdout)))
    assert sorted(namespace for _, namespace, _ in deny) == DENIALS.get(overlay, ["istio-system"])
    assert {(kind, name) for kind, _, name in deny} <= {
        ("NetworkPolicy", "zz-default-deny"),
        ("NetworkPolicy", "a-deny-of-mine"),
    }
    if overlay == "kind":
        assert ("NetworkPolicy", "istio-system", "zzz-mine") in allow
    assert shown("Kustomization")["istio-netpol-deny"]["spec"]["dependsOn"] == [
        {"name": "istio-netpol-allow"}
    ]
    assert shown("Kustomization")["istio-netpol-allow"]["spec"]["wait"] is True


def test_in_one_step_flux_would_deny_last_as_well(tree: Path) -> None:
    """Who has one Kustomization only is not cut off, but for policies of their own that sort after the
    deny-all."""
    whole = [
        _identity(document)
        for document in yaml.safe_load_all(kustomize_build(tree / "overlays" / "kind").stdout)
    ]
    order = sorted(identity for identity in whole if identity[:2] == ("NetworkPolicy", "istio-system"))
    names = [name for _, _, name in order]
    assert names[-2:] == ["zz-default-deny", "zzz-mine"]
