"""What a test run says where the programs of a cluster are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.tools.programs import PINS, absent

TESTS = """\
from tests.cluster.fixtures import require, require_go
def test_one(): require("soap")
def test_two(): require("soap")
def test_three(): require_go()
def test_four(): pass
"""


def run_without_programs(folder: Path, ci: str) -> str:
    """What pytest prints of four tests, three of which need what this machine has not."""
    (folder / "test_four.py").write_text(TESTS)
    root = PINS.parents[1]
    environment = {
        "CI": ci,
        "PATH": str(folder),
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "webhook")]),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-ra",
        "--rootdir=.",
        "-p",
        "tests.cluster.fixtures",
        "test_four.py",
    ]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    ).stdout


def test_tests_without_their_programs_are_skipped_for_one_reason(tmp_path: Path) -> None:
    """On a machine without Go the others run, and the summary has a line for what is missing, not for every
    test."""
    printed = run_without_programs(tmp_path, ci="")
    skipped = [line for line in printed.splitlines() if line.startswith("SKIPPED")]
    assert [line.partition("]")[0] for line in skipped] == ["SKIPPED [2", "SKIPPED [1"]
    assert str(absent("soap")) in skipped[0]
    assert skipped[1].endswith(": Go, which reads the modules that hold CRDs, is not installed")
    assert "1 passed, 3 skipped" in printed


def test_ci_fails_without_the_programs(tmp_path: Path) -> None:
    """There nobody reads what was skipped."""
    printed = run_without_programs(tmp_path, ci="true")
    assert "3 failed, 1 passed" in printed
    assert str(absent("soap")) in printed
