"""Where the tests find their programs, and what is said when they don't."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tools.programs import ASSETS, PINS, PROGRAMS, Program, absent, built, located


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that KUBEBUILDER_ASSETS names, empty."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    return tmp_path


def test_the_assets_are_used_that_the_environment_names(assets: Path) -> None:
    """Whoever has envtest's programs builds none of those."""
    for name in ASSETS:
        (assets / name).touch()
    assert [located(name) for name in ASSETS] == [assets / name for name in ASSETS]
    assert absent(*ASSETS) is None


def test_other_programs_come_from_what_was_built(assets: Path) -> None:
    """A helm that lies in that folder by chance is not the pinned one."""
    (assets / "helm").touch()
    assert located("helm") in (None, built() / "helm")


def test_what_is_missing_is_told_once_with_the_remedy() -> None:
    """One reason for all that needs it, in the summary of the test run."""
    reason = (
        "tests of a cluster need soap and water, which are not built: run `make tools`, which needs Go, or "
        "name a folder with etcd, kube-apiserver and kubectl in KUBEBUILDER_ASSETS"
    )
    assert absent("soap", "water") == reason


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_pinned_by_a_module(program: Program) -> None:
    """Its version and the checksums of all that it is built from are in the repository."""
    pin = (PINS / program.pin / "go.mod").read_text().replace("tool ", "")
    assert program.package in [line.strip() for line in pin.splitlines()]
    assert (PINS / program.pin / "go.sum").is_file()
