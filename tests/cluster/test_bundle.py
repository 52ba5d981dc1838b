"""A real API server takes every overlay, and has nothing to change when it comes again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import OVERLAYS, filled_tree, kustomize_build
from tests.cluster.control_plane import ControlPlane

ADDED = "".join(
    f"- ../../components/{component}\n"
    for component in (
        "kyma",
        "ambient",
        "document-literal",
        "egress-gateway",
        "gateway-chart",
        "kyma-module-labels",
        "metrics",
        "tracing",
        "values",
    )
)
VALUES = """
documentLiteral:
  acceptedBy: the auditors
metrics:
  namespace: monitoring
tracing:
  namespace: observability
  podLabels: {app: otel}
  port: 4317
"""


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_applied_once(control_plane: ControlPlane, tmp_path: Path, name: str) -> None:
    """`kubectl apply -k` with strict validation; the second time no object gets a new version."""
    apply_twice(control_plane, filled_tree(tmp_path) / "overlays" / name)


def test_all_components_are_applied_together(control_plane: ControlPlane, tmp_path: Path) -> None:
    """What an overlay may list besides, with its values, is accepted as strictly."""
    overlay = filled_tree(tmp_path) / "overlays" / "kind"
    for name, more in {"kustomization.yaml": ADDED, "values.yaml": VALUES}.items():
        file = overlay / name
        file.write_text(file.read_text().replace("- ../../components/values\n", "") + more)
    apply_twice(control_plane, overlay)


def apply_twice(control_plane: ControlPlane, overlay: Path) -> None:
    """Applies an overlay, strictly; the second time nothing may change."""
    folder = str(overlay)
    kubectl = control_plane.kubectl()
    apply = ("apply", "-k", folder, "--server-side", "--validate=strict")
    versions = "jsonpath={.items[*].metadata.resourceVersion}"
    objects = kustomize_build(overlay).stdout.split("---\n")
    for namespace in ("istio-system", "kyma-system"):  # which an overlay may leave to Kyma
        kubectl("create", "namespace", namespace)
    try:
        first = kubectl(*apply)
        assert (first.code, first.stderr) == (0, "")
        assert first.stdout.count("serverside-applied") == len(objects)
        before = kubectl("get", "-k", folder, "-o", versions).stdout
        assert kubectl(*apply).code == 0
        assert kubectl("get", "-k", folder, "-o", versions).stdout == before
    finally:
        for namespace in ("istio-system", "kyma-system"):
            # They go at once: kubectl would ask after one of them and the next, five a second.
            kubectl("delete", "networkpolicies", "--all", "--wait=false", "-n", namespace)
