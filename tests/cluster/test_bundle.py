"""A real API server takes every overlay, and has nothing to change when it comes again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import OVERLAYS, filled_tree
from tests.cluster.control_plane import ControlPlane


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_applied_once(control_plane: ControlPlane, tmp_path: Path, name: str) -> None:
    """`kubectl apply -k` with strict validation; the second time no object gets a new version."""
    folder = str(filled_tree(tmp_path) / "overlays" / name)
    kubectl = control_plane.kubectl()
    apply = ("apply", "-k", folder, "--server-side", "--validate=strict")
    versions = "jsonpath={.items[*].metadata.resourceVersion}"
    try:
        first = kubectl(*apply)
        assert (first.code, first.stderr) == (0, "")
        assert first.stdout.count("serverside-applied") >= 15
        before = kubectl("get", "-k", folder, "-o", versions).stdout
        assert kubectl(*apply).code == 0
        assert kubectl("get", "-k", folder, "-o", versions).stdout == before
    finally:
        kubectl("delete", "networkpolicies", "--all", "-n", "istio-system")
        kubectl("delete", "networkpolicies", "--all", "-n", "kyma-system")
