"""When an Application that holds Applications may go on, as Argo CD itself works it out from our patch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.argocd.installation import HEALTH
from tests.cluster.fixtures import require
from tests.tools.programs import located


def health_of(status: dict[str, Any] | None, folder: Path) -> str:
    """What `argocd admin settings` prints as the health of an Application in that state."""
    require("argocd")
    metadata = {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}}
    patched = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    (folder / "argocd-cm.yaml").write_text(json.dumps({**patched, **yaml.safe_load(HEALTH.read_text())}))
    application = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "it"}}
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
        ("OutOfSync", "Missing", "Missing"),
        ("Unknown", "Healthy", "Degraded"),
    ],
)
def test_an_application_is_healthy_only_in_sync(
    sync: str, health: str, expected: str, tmp_path: Path
) -> None:
    """Policies that are not there yet hold the next wave up, although nothing about them is unhealthy."""
    status = {"sync": {"status": sync}, "health": {"status": health}}
    assert health_of(status, tmp_path) == expected


def test_an_application_that_was_just_made_is_waited_for(tmp_path: Path) -> None:
    """Before Argo CD has looked at it, nothing is known to be well."""
    assert health_of(None, tmp_path) == "Progressing"
