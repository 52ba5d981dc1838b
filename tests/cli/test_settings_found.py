"""`.istio-netpol.yaml`: where it is looked for, and what it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.workspace import DENY_ALL, SHOP, Run

HEADER = "apiVersion: istio-netpol.io/v1\nkind: Settings\n"
ELSEWHERE = HEADER + "mesh: {rootNamespace: mesh}\n"


def istiod_of(run: Run, *arguments: str, stdin: str = "", **environment: str) -> str:
    """The namespace in which istiod is assumed, which the settings say."""
    result = run("check", *arguments, "--offline", "-f", "json", stdin=stdin, **environment)
    assert result.exit_code == 1, result.stderr
    flows = [found["flow"] for found in json.loads(result.stdout)["findings"] if found["flow"]]
    return next(flow["destination"]["namespace"] for flow in flows if flow["port"] == 15012)


@pytest.mark.parametrize("folder", [".", "manifests"])
def test_settings_are_found_in_the_folder_of_the_input_and_above(
    run: Run, workspace: Path, folder: str
) -> None:
    """And standard error says which file it was."""
    (workspace / folder / ".istio-netpol.yaml").write_text(ELSEWHERE)
    assert istiod_of(run, "manifests") == "mesh"
    assert istiod_of(run, "manifests/shop.yaml") == "mesh"
    place = "manifests/.istio-netpol.yaml" if folder == "manifests" else ".istio-netpol.yaml"
    assert f"settings: {place}\n" in run("check", "manifests", "--offline").stderr


def test_the_nearest_settings_count(run: Run, workspace: Path) -> None:
    """A folder may differ from its repository."""
    (workspace / ".istio-netpol.yaml").write_text(ELSEWHERE)
    (workspace / "manifests/.istio-netpol.yaml").write_text(ELSEWHERE.replace("mesh}", "istio}"))
    assert istiod_of(run, "manifests") == "istio"


def test_standard_input_lies_in_the_current_folder(run: Run, workspace: Path) -> None:
    """Where a pipe ends, it has no folder of its own."""
    (workspace / ".istio-netpol.yaml").write_text(ELSEWHERE)
    assert istiod_of(run, "-", stdin=SHOP + DENY_ALL) == "mesh"


def test_several_paths_share_what_lies_above_all(run: Run, workspace: Path) -> None:
    """The settings of one of them say nothing about the others."""
    (workspace / "manifests/.istio-netpol.yaml").write_text(ELSEWHERE)
    (workspace / "more").mkdir()
    (workspace / "more/deny.yaml").write_text(DENY_ALL.replace("default-deny", "another"))
    assert istiod_of(run, "manifests", "more") == "istio-system"


@pytest.mark.parametrize("end", [".git", "home"])
def test_the_search_ends_at_the_repository_and_at_home(
    run: Run, workspace: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies above belongs to somebody else."""
    (workspace / ".istio-netpol.yaml").write_text(ELSEWHERE)
    if end == ".git":
        (workspace / "manifests/.git").write_text("gitdir: elsewhere\n")
    else:
        monkeypatch.setenv("HOME", str(workspace / "manifests"))
    assert istiod_of(run, "manifests") == "istio-system"


def test_named_settings_take_the_place_of_those_that_would_be_found(run: Run, workspace: Path) -> None:
    """By option or variable: one file counts, never two."""
    (workspace / ".istio-netpol.yaml").write_text(ELSEWHERE)
    (workspace / "named.yaml").write_text(HEADER)
    assert istiod_of(run, "manifests", "--config", "named.yaml") == "istio-system"
    assert istiod_of(run, "manifests", ISTIO_NETPOL_CONFIG="named.yaml") == "istio-system"


def test_mistakes_of_found_settings_end_the_command(run: Run, workspace: Path) -> None:
    """All at once, as of a file that was named."""
    (workspace / ".istio-netpol.yaml").write_text(HEADER + "exclud: [a]\nseverities: {dns: loud}\n")
    result = run("check", "manifests")
    assert result.exit_code == 2
    assert [line.rpartition("/")[2] for line in result.stderr.splitlines()[1:]] == [
        ".istio-netpol.yaml:3: exclud: is not a setting; did you mean exclude?",
        ".istio-netpol.yaml:4: severities.dns = loud: is not known; use error, warning, info, off",
    ]


@pytest.mark.parametrize("pattern", ["templates", "/k8s/templates/", "**/broken.yaml", "k8s/**/broken.yaml"])
def test_the_settings_leave_files_out_by_patterns(run: Run, workspace: Path, pattern: str) -> None:
    """They begin at the folder of the settings, whatever PATH is."""
    (workspace / "k8s/templates").mkdir(parents=True)
    (workspace / "k8s/shop.yaml").write_text(SHOP)
    (workspace / "k8s/templates/broken.yaml").write_text("kind: {{")
    (workspace / ".istio-netpol.yaml").write_text(HEADER + f"exclude: ['{pattern}']\n")
    for path in ("k8s", str(workspace / "k8s")):
        result = run("check", path, "--offline")
        assert result.exit_code == 0, result.stderr


def test_what_the_settings_leave_out_does_not_reach_beyond_their_folder(run: Run, workspace: Path) -> None:
    """A name is one below it, even where another PATH has the like."""
    (workspace / "a/x").mkdir(parents=True)
    (workspace / "a/settings.yaml").write_text(HEADER + "exclude: [x]\n")
    (workspace / "b/x").mkdir(parents=True)
    (workspace / "b/x/shop.yaml").write_text(SHOP)
    result = run("check", "b", "--offline", "-f", "json", "--config", "a/settings.yaml")
    assert json.loads(result.stdout)["summary"]["objects"] == 3


@pytest.mark.parametrize("target", ["gone.yaml", ".istio-netpol.yaml"])
def test_a_link_that_leads_nowhere_is_an_error(run: Run, workspace: Path, target: str) -> None:
    """Not a repository without settings, which would be judged by others than its own."""
    (workspace / ".istio-netpol.yaml").symlink_to(target)
    result = run("check", "manifests", "--offline")
    assert result.exit_code == 2
    assert "the settings can't be read" in result.stderr
