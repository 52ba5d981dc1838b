"""`python -m benchmarks.corpus` over what is checked in: nothing crashes, and what `generate` prints mends
what policies can mend, cuts nothing, and opens nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from benchmarks.beyond_required import beyond_required
from benchmarks.corpus import Outcome, figures, main, outcome_of, projects_in, table
from tests.bundle.overlays import OVERLAYS, filled_tree, kustomize_build
from tests.docs.transcripts import ROOT
from tests.istio import builders as mesh
from tests.scenarios import scenario as scenarios
from tests.values import TCP, deployment, namespace

from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.bundle.overlays import standard_control_plane
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.services import ServicePort
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

CLEAN = ("crashes", "refusals", "errors left", "connections lost", "connections opened beyond need")


def clean(printed: str) -> list[str]:
    """The lines of the figures that have to be zero."""
    return [line for line in printed.splitlines() if line.startswith(CLEAN)]


def test_scenarios_and_examples_are_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each scenario with what it builds on is a project."""
    for name in scenarios.names():
        for number, path in enumerate(map(Path, scenarios.read(name).before)):
            place = tmp_path / name / f"{number}-{path.name}"
            if path.is_dir():
                shutil.copytree(path, place)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
    assert main([str(tmp_path), str(ROOT / "docs" / "examples")]) == 0
    found = clean(capsys.readouterr().out)
    assert [line.split()[-1] for line in found] == ["0"] * len(CLEAN), found


def test_the_bundle_as_it_is_applied_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `kustomize build` prints of every overlay, beside a control plane."""
    tree, projects = filled_tree(tmp_path), tmp_path / "projects"
    for name in OVERLAYS:
        built = kustomize_build(tree / "overlays" / name)
        assert built.returncode == 0, built.stderr
        (projects / name).mkdir(parents=True)
        (projects / name / "built.yaml").write_text(built.stdout)
        (projects / name / "control-plane.yaml").write_bytes(standard_control_plane())
    assert main([str(projects)]) == 0
    found = clean(capsys.readouterr().out)
    assert [line.split()[-1] for line in found] == ["0"] * len(CLEAN), found


def test_folders_are_projects(tmp_path: Path) -> None:
    """Each folder of a folder, and each manifest beside them; a folder without folders is one itself."""
    for name in ("a/x.yaml", "b/c/y.yaml", "z.yaml", "README.md", ".git/w.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert list(projects_in([tmp_path])) == [tmp_path / "a", tmp_path / "b", tmp_path / "z.yaml"]
    assert list(projects_in([tmp_path / "a"])) == [tmp_path / "a"]


def test_what_can_not_be_used_is_a_refusal_with_its_reason(tmp_path: Path) -> None:
    """It says what a user would read, and is counted; being refused may be right."""
    (tmp_path / "broken.yaml").write_text("kind: [\n")
    outcome = outcome_of(tmp_path)
    assert "broken.yaml:" in outcome.refusal
    assert figures([outcome])["refusals"] == 1
    assert outcome.holds


@pytest.mark.parametrize(
    ("outcome", "title"),
    [
        (Outcome("shop", crash="Traceback\nKeyError: 'a'"), "crash    shop: KeyError: 'a'"),
        (Outcome("shop", left=["egress is denied"]), "left     shop: egress is denied"),
        (Outcome("shop", lost=["a -> b"]), "lost     shop: a -> b"),
        (Outcome("shop", beyond=["a -> b"]), "beyond   shop: a -> b"),
    ],
)
def test_what_does_not_hold_is_printed(outcome: Outcome, title: str) -> None:
    """And makes the command fail."""
    assert not outcome.holds
    assert title in list(table([outcome]))


def test_what_no_flow_needs_is_beyond() -> None:
    """Port by port and address by address."""
    caller = Workload(deployment("shop/cart").ref, {"app": "cart"}, calls="db:80, 192.0.2.0/31:443")
    snapshot = Snapshot.of(
        [
            namespace("shop"),
            caller,
            deployment("shop/db"),
            mesh.service("shop/db", ServicePort(80, 5432), app="db"),
        ]
    )
    cart, db = "shop/Deployment/cart", "shop/Deployment/db"
    gained = [
        AllowedConnection(cart, db, ConnectionSet.of(TCP, 5432, 5433)),
        AllowedConnection(db, cart, ConnectionSet.of(TCP, 5432)),
        AllowedConnection(cart, "192.0.2.0-192.0.2.2", ConnectionSet.of(TCP, 443)),
    ]
    assert list(beyond_required(gained, snapshot, Settings())) == [
        f"{cart} -> {db}, TCP 5433",
        f"{db} -> {cart}, TCP 5432",
        f"{cart} -> 192.0.2.0-192.0.2.2 at 192.0.2.2/32, TCP 443",
    ]
