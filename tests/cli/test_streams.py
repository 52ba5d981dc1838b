"""Standard streams that are full, closed or left by their reader; each run is a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = "from istio_netpol.cli.main import main; main()"
NO_SPACE = "the output can't be written: No space left on device\n"
CHECK = "check manifests --offline"


def shell(redirected: str, arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The program, with a shell's redirection; standard error is what tests look at."""
    command = f'"{sys.executable}" -c "{CODE}" {arguments} {redirected}'
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=180
    )


@pytest.mark.parametrize("arguments", [CHECK, "--help", "check --help", "completion bash"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_a_sentence(workspace: Path, programs: Path, arguments: str) -> None:
    """Whatever was to be written, the help too."""
    done = shell("> /dev/full", arguments, workspace)
    assert (done.returncode, done.stderr) == (2, NO_SPACE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_message_that_nobody_can_read_keeps_its_exit_code(workspace: Path, programs: Path) -> None:
    """Here the log has no room left."""
    assert shell("2> /dev/full", "check gone.yaml", workspace).returncode == 2


def test_closed_standard_input_is_empty(workspace: Path, programs: Path) -> None:
    """Services and cron jobs start programs like that."""
    done = shell("<&-", "check -", workspace)
    assert (done.returncode, done.stderr) == (
        2,
        "<stdin>: holds no objects; name manifests\nnothing was done\n",
    )


def test_closed_standard_output_keeps_the_exit_code(workspace: Path, programs: Path) -> None:
    """Some scripts want nothing else."""
    done = shell(">&-", CHECK, workspace)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_reader_who_leaves_gets_no_complaint(workspace: Path, programs: Path) -> None:
    """`| head` has seen enough."""
    done = shell("| true", "list shop.yaml", workspace)
    assert done.stderr == ""
