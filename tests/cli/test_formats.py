"""A row in the table of formats is all it takes to offer, print, complete and document a format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.workspace import Run
from tests.docs.transcripts import ROOT

from istio_netpol.report.table import TABLE, has_format, names

CODE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from click.testing import CliRunner
from istio_netpol.report.table import TABLE
for rows in TABLE.values():
    rows["again"] = next(iter(rows.values()))
from istio_netpol.cli.main import program
from mkdocs_hooks.reference import command_line_page

def printed(*arguments):
    return CliRunner().invoke(program, arguments).stdout

def completed(*words):
    asked = {"COMP_WORDS": " ".join(("istio-netpol", *words)), "COMP_CWORD": str(len(words))}
    variable = "_ISTIO_NETPOL_COMPLETE"
    return CliRunner().invoke(
        program, prog_name="istio-netpol", complete_var=variable, env={**asked, variable: "bash_complete"}
    ).stdout

runs = json.loads(sys.argv[2])
shown = [(printed(*run), printed(*run, "-f", "again")) for run in runs]
commands = {key.partition(" --")[0] for key in TABLE} - {"map"}
helped = {name: "again" in printed(*name.split(), "--help") for name in commands}
tab = {name: "again" in completed(*name.split(), "-f", "a") for name in commands}
print(printed("map", "shop.yaml", "--offline", "-o", "shop.again"), file=sys.stderr)
picture = os.path.exists("shop.again") and open("shop.again").read(15)
page = command_line_page().count("|again]")
helped["map"] = ".again" in printed("map", "--help")
print(json.dumps({"shown": shown, "helped": helped, "tab": tab, "picture": picture, "page": page}))
"""

RUNS = [
    ["check", "shop.yaml", "--offline", "--all"],
    ["list", "shop.yaml"],
    ["list", "shop.yaml", "--summary"],
    ["list", "shop.yaml", "--exposure"],
    ["diff", "shop.yaml", "shop.yaml", "--offline"],
    ["explain", "shop.yaml", "--workload", "shop/cart", "--offline"],
    ["explain", "shop.yaml", "--from", "shop/cart", "--to", "192.0.2.7:443", "--offline"],
    ["explain", "shop.yaml", "--symptom", "upstream request timeout", "--offline"],
    ["readiness", "shop.yaml", "--offline"],
]


@pytest.fixture
def with_a_row(workspace: Path) -> dict[str, Any]:
    """What the program does where every command has one row more: a copy of its first, under another name."""
    command = [sys.executable, "-c", CODE, str(ROOT), json.dumps(RUNS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=workspace)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_row_is_all_that_a_format_takes(with_a_row: dict[str, Any]) -> None:
    """It is printed, stands in the help, is completed by the shell, and is in the reference of commands."""
    for run, (first, again) in zip(RUNS, with_a_row["shown"], strict=True):
        assert first, run
        assert again == first, run
    assert all(with_a_row["helped"].values()), with_a_row["helped"]
    assert all(with_a_row["tab"].values()), with_a_row["tab"]
    assert with_a_row["picture"] == "<!doctype html>"
    assert with_a_row["page"] == len(with_a_row["tab"])


@pytest.mark.parametrize("command", ["list --summary", "explain --workload", "explain --symptom"])
def test_a_format_that_an_option_does_not_have_is_refused(
    run: Run, workspace: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read, with the formats that it has."""
    name, _, option = command.partition(" ")
    value = {"--workload": ["shop/cart"], "--symptom": ["upstream request timeout"]}.get(option, [])
    lacking = names(name)[-1]
    monkeypatch.setitem(TABLE, command, {key: row for key, row in TABLE[command].items() if key != lacking})
    result = run(name, "shop.yaml", option, *value, "-f", lacking)
    assert result.exit_code == 2
    known = ", ".join(TABLE[command])
    assert f"`{command}` has no format {lacking}; use {known}" in " ".join(result.stderr.split())


def test_only_the_formats_of_a_command_are_offered() -> None:
    """The first is the default; those of an option count, those of another command do not."""
    assert names("check")[0] == names("explain")[0] == "text"
    assert names("map")[0] == "html"
    assert not has_format("explain", "sarif")
    assert "csv" in names("list")
