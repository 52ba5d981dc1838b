"""When what holds Applications may go on, as Argo CD itself works it out from our patch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.argocd.installation import HEALTH
from tests.cluster.crds import ARGO_CD, module_folder
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
    """The health of an Application in that state."""
    metadata = {"name": "it", "labels": labels}
    application = {"kind": "Application", "metadata": metadata, "spec": spec}
    return judged(application if status is None else {**application, "status": status}, folder)[0]


def judged(
    manifest: Mapping[str, Any], folder: Path, scripts: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Status and message of an object's health by `argocd admin settings`, with our scripts or these."""
    require("argocd")
    metadata = {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}}
    patched = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    data = scripts or yaml.safe_load(HEALTH.read_text())["data"]
    (folder / "argocd-cm.yaml").write_text(json.dumps({**patched, "data": data}))
    (folder / "object.yaml").write_text(json.dumps({"apiVersion": "argoproj.io/v1alpha1", **manifest}))
    question = ("admin", "settings", "resource-overrides", "health", str(folder / "object.yaml"))
    done = subprocess.run(
        [str(located("argocd")), *question, "--argocd-cm-path", str(folder / "argocd-cm.yaml")],
        env={"HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    return said["STATUS"], said.get("MESSAGE", "")


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


UP_TO_DATE = {"type": "ResourcesUpToDate", "status": "True", "message": "generated"}
ROLLING = {"type": "RolloutProgressing", "status": "True", "message": "rolling"}
REFUSED = {"type": "ErrorOccurred", "status": "True", "message": "no such project"}
OUTDATED = {"type": "ResourcesUpToDate", "status": "False", "message": "not generated"}
NO_ERROR = {**REFUSED, "status": "False"}


def ring_of(*seen: tuple[str, str], health: str = "Healthy", sync: str = "Synced") -> dict[str, Any]:
    """The status of a ring by revision and state that Argo CD wrote down of each of its Applications."""
    return {
        "conditions": [UP_TO_DATE],
        "resources": [
            {"name": f"of-{number}", "status": sync, "health": {"status": health}}
            for number in range(len(seen))
        ],
        "applicationStatus": [
            {"application": f"of-{number}", "status": state, "targetRevisions": [revision]}
            for number, (revision, state) in enumerate(seen)
        ],
    }


def judged_ring(status: dict[str, Any] | None, folder: Path, **labels: str) -> tuple[str, str]:
    """The health of an ApplicationSet that is pinned to `b2`, with a ring unless `labels` say otherwise."""
    metadata = {
        "name": "it",
        "labels": labels or {**OURS, "istio-netpol.io/ring": "canary"},
        "annotations": {"istio-netpol.io/commit": "b2"},
    }
    ring = {"kind": "ApplicationSet", "metadata": metadata, "spec": {}}
    return judged(ring if status is None else {**ring, "status": status}, folder)


def test_a_ring_is_well_when_all_of_it_is_with_the_newest_commit(tmp_path: Path) -> None:
    """Then, and not before, the next ring gets that commit."""
    assert judged_ring(ring_of(("b2", "Healthy"), ("b2", "Healthy")), tmp_path)[0] == "Healthy"


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [
        (None, "Progressing", "no cluster is in the ring canary"),
        ({"conditions": [UP_TO_DATE]}, "Progressing", "no cluster is in the ring canary"),
        ({**ring_of(("b2", "Healthy")), "applicationStatus": []}, "Progressing", "progressive syncs"),
        (ring_of(("a1", "Healthy")), "Progressing", "of-0 was not compared with b2 yet"),
        (ring_of(("b2", "Healthy"), ("a1", "Healthy")), "Progressing", "of-1 was not compared with b2 yet"),
        (ring_of(("a1", "Healthy"), health="Degraded"), "Progressing", "of-0 was not compared with b2 yet"),
        (ring_of(("b2", "Waiting")), "Progressing", "of-0 is not well yet with b2"),
        (ring_of(("b2", "Pending")), "Progressing", "of-0 is not well yet with b2"),
        (ring_of(("b2", "Progressing")), "Progressing", "of-0 is not well yet with b2"),
        (ring_of(("b2", "Healthy"), sync="OutOfSync"), "Progressing", "of-0 is not well yet with b2"),
        (ring_of(("b2", "Healthy"), sync="Unknown"), "Progressing", "of-0 is not well yet with b2"),
        (ring_of(("b2", "Healthy"), health="Progressing"), "Progressing", "of-0 is not well yet with b2"),
        (ring_of(("b2", "Healthy"), health="Degraded"), "Degraded", "of-0 is not well with b2"),
        (ring_of(("b2", "Pending"), sync="OutOfSync", health="Degraded"), "Degraded", "of-0 is not well"),
        ({**ring_of(("b2", "Healthy")), "conditions": [REFUSED, OUTDATED]}, "Degraded", "no such project"),
        ({**ring_of(("b2", "Healthy")), "conditions": [OUTDATED]}, "Degraded", "not generated"),
    ],
)
def test_a_ring_that_is_not_well_holds_the_next_one_back(
    status: dict[str, Any] | None, expected: str, message: str, tmp_path: Path
) -> None:
    """What is known of an earlier commit proves nothing, and neither does what is not known. What is degraded
    ends the sync that waits, so that the next commit can mend it."""
    state, said = judged_ring(status, tmp_path)
    assert (state, message in said) == (expected, True), said


@pytest.mark.parametrize("labels", [{}, OURS, {"istio-netpol.io/ring": "canary"}])
@pytest.mark.parametrize(
    "conditions",
    [
        None,
        [],
        [UP_TO_DATE],
        [NO_ERROR, UP_TO_DATE],
        [UP_TO_DATE, ROLLING],
        [REFUSED, OUTDATED, ROLLING],
        [OUTDATED],
        [NO_ERROR],
    ],
)
def test_other_application_sets_are_as_healthy_as_without_our_script(
    labels: dict[str, str], conditions: list[dict[str, str]] | None, tmp_path: Path
) -> None:
    """Argo CD ships a script of its own for them, which ours takes the place of."""
    status = None if conditions is None else {"conditions": conditions}
    metadata = {"name": "it", "labels": labels}
    manifest = {"kind": "ApplicationSet", "metadata": metadata, "spec": {}}
    stored = manifest if status is None else {**manifest, "status": status}
    assert judged(stored, tmp_path)[0] == shipped_health(stored, tmp_path)


def shipped_health(manifest: Mapping[str, Any], folder: Path) -> str:
    """What Argo CD prints of that object with its own script."""
    shipped = module_folder(ARGO_CD) / "resource_customizations" / "argoproj.io" / "ApplicationSet"
    script = (shipped / "health.lua").read_text()
    key = "resource.customizations.health.argoproj.io_ApplicationSet"
    return judged(manifest, folder, {key: script})[0]
