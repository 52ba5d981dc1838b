"""Examples of the help work as they are written, once the files and programs that they name are there."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import click
import pytest
from tests.cli.workspace import Run

from istio_netpol.cli.bundle import bundle
from istio_netpol.cli.certs import certs
from istio_netpol.cli.controller import controller
from istio_netpol.cli.doctor import doctor
from istio_netpol.cli.main import program
from istio_netpol.cli.program import EXAMPLES_HEADING
from istio_netpol.cli.serve import serve


def examples_of(command: click.Command) -> list[str]:
    lines = (command.epilog or "").split("\n")
    assert lines[:2] == ["\b", EXAMPLES_HEADING], f"{command.name} has no examples"
    return [line.strip() for line in lines[2:]]


NEED_MORE = (serve, controller, certs, doctor)
"""A listener or a cluster: what these do is tested where it is there."""

SERVES = "--serve"
"""An option by which a command listens until it is ended."""

NO_CLUSTER = ("there is nothing to read", "there is no cluster to read", "there is no kubeconfig")

COMMANDS = (program, *program.commands.values(), *bundle.commands.values())


def needs_more(command: click.Command, example: str) -> bool:
    return command in NEED_MORE or SERVES in shlex.split(example)


EXAMPLES = [
    example for command in COMMANDS for example in examples_of(command) if not needs_more(command, example)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(run: Run, programs: Path, example: str) -> None:
    """Exit code 0, or 1 where something was found; and no complaint about how it was called."""
    if {"|", ">"} & set(example):
        command = ["/bin/sh", "-c", example]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
        code, complaint = done.returncode, done.stderr
    else:
        name, *arguments = shlex.split(example)
        assert name == "istio-netpol"
        result = run(*arguments)
        code, complaint = result.exit_code, result.stderr
    if code == 2 and any(told in complaint for told in NO_CLUSTER):
        return  # it reads a cluster, as the tests of clusters do
    assert code in {0, 1}, complaint
    assert "Usage:" not in complaint
    assert "nothing was done" not in complaint


@pytest.mark.parametrize(
    "example",
    [example for command in COMMANDS for example in examples_of(command) if needs_more(command, example)],
)
def test_an_example_that_needs_more_is_accepted(workspace: Path, example: str) -> None:
    """Its options are right, and what they name in the workspace is there."""
    words = shlex.split(example)
    assert words[0] == "istio-netpol"
    program.commands[words[1]].make_context(words[1], words[2:])
