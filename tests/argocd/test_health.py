"""When an Application that holds Applications may go on, as Argo CD itself works it out from our patch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.argocd.installation import HEALTH
from tests.cluster.fixtures import require
from tests.tools.programs import located

OURS = {"app.kubernetes.io/part-of": "istio-netpol"}
NEW = {"repoURL": "https://example.com/a.git", "path": "one", "targetRevision": "b2"}
OLD = {**NEW, "targetRevision": "a1"}
VALUES = {"repoURL": "https://example.com/b.git", "targetRevision": "c3", "ref": "values"}
SPEC = {"source": NEW}


def health_of(
    status: dict[str, Any] | None,
    folder: Path,
    labels: Mapping[str, str] = OURS,
    spec: Mapping[str, Any] = SPEC,
) -> str:
    """What `argocd admin settings` prints as the health of an Application in that state."""
    require("argocd")
    metadata = {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}}
    patched = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    (folder / "argocd-cm.yaml").write_text(json.dumps({**patched, **yaml.safe_load(HEALTH.read_text())}))
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "it", "labels": labels},
        "spec": spec,
    }
    stored = application if status is None else {**application, "status": status}
    (folder / "application.yaml").write_text(json.dumps(stored))
    question = ("admin", "settings", "resource-overrides", "health", str(folder / "application.yaml"))
    done = subprocess.run(
        [str(located("argocd")), *question, "--argocd-cm-path", str(folder / "argocd-cm.yaml")],
        env={"HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("STATUS: "))
    return line.removeprefix("STATUS: ")


@pytest.mark.parametrize(
    ("sync", "health", "expected"),
    [
        ("Synced", "Healthy", "Healthy"),
        ("OutOfSync", "Healthy", "Progressing"),
        ("Synced", "Progressing", "Progressing"),
        ("Synced", "Degraded", "Degraded"),
        ("OutOfSync", "Missing", "Progressing"),
        ("Unknown", "Healthy", "Degraded"),
    ],
)
def test_an_application_is_healthy_only_in_sync(
    sync: str, health: str, expected: str, tmp_path: Path
) -> None:
    """Policies that are not there yet hold the next wave up, although nothing about them is unhealthy."""
    status = {"sync": {"status": sync, "comparedTo": SPEC}, "health": {"status": health}}
    assert health_of(status, tmp_path) == expected


def test_an_application_that_was_just_made_is_waited_for(tmp_path: Path) -> None:
    """Before Argo CD has looked at it, nothing is known to be well."""
    assert health_of(None, tmp_path) == "Progressing"


@pytest.mark.parametrize(
    ("spec", "compared"),
    [
        ({"source": NEW}, {"source": OLD}),
        ({"source": NEW}, {"source": {**NEW, "path": "other"}}),
        ({"source": NEW}, {}),
        ({"sources": [NEW, VALUES]}, {"sources": [OLD, VALUES]}),
        ({"sources": [NEW, VALUES]}, {"sources": [NEW, {**VALUES, "targetRevision": "c2"}]}),
        ({"sources": [NEW, VALUES]}, {"source": NEW}),
    ],
)
def test_what_was_said_of_an_earlier_revision_does_not_count(
    spec: dict[str, Any], compared: dict[str, Any], tmp_path: Path
) -> None:
    """Right after its revision changed, an Application still calls itself in sync and healthy."""
    for seen, expected in ((compared, "Progressing"), (spec, "Healthy")):
        status = {"sync": {"status": "Synced", "comparedTo": seen}, "health": {"status": "Healthy"}}
        assert health_of(status, tmp_path, spec=spec) == expected


@pytest.mark.parametrize(
    ("sync", "operation", "expected"),
    [
        ("OutOfSync", {"phase": "Running"}, "Progressing"),
        ("Synced", {"phase": "Running"}, "Progressing"),
        ("OutOfSync", {"phase": "Running", "retryCount": 1}, "Degraded"),
        ("OutOfSync", {"phase": "Failed"}, "Degraded"),
        ("OutOfSync", {"phase": "Error", "message": "no such kind"}, "Degraded"),
        ("Synced", {"phase": "Failed"}, "Healthy"),
        ("Synced", {"phase": "Succeeded", "retryCount": 2}, "Healthy"),
    ],
)
def test_a_sync_that_fails_ends_the_wait(
    sync: str, operation: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    """Whatever waits fails as well, and takes the next commit; what is in sync by other means is well."""
    status = {
        "sync": {"status": sync, "comparedTo": SPEC},
        "health": {"status": "Healthy"},
        "operationState": operation,
    }
    assert health_of(status, tmp_path) == expected


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/part-of": "shop"}])
@pytest.mark.parametrize("health", ["Degraded", "Progressing", "Missing", "Healthy"])
def test_applications_of_others_hold_nothing_up(labels: dict[str, str], health: str, tmp_path: Path) -> None:
    """Argo CD ships no health of Applications: for those that are not ours it stays without effect."""
    for sync in ("Unknown", "OutOfSync", "Synced"):
        status = {"sync": {"status": sync}, "health": {"status": health}}
        assert health_of(status, tmp_path, labels) == "Healthy"
    assert health_of(None, tmp_path, labels) == "Healthy"
