"""Every Python that the metadata promises and this machine has runs the program on the locked packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROMISED = [
    version
    for classifier in PROJECT["classifiers"]
    for version in re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifier)
]
OURS = "3.11"
"""Runs all the other tests."""


def interpreter(version: str) -> str | None:
    """A Python of that version: on PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(str(path) for path in pyenv.glob(f"{version}.*/bin/python{version}"))
    for candidate in filter(None, [shutil.which(f"python{version}"), *installed]):
        asked = subprocess.run([candidate, "-c", ""], capture_output=True, check=False)
        if asked.returncode == 0:  # pyenv's stand-in for a version that is not switched on fails
            return candidate
    return None


def test_the_metadata_promises_a_range() -> None:
    """From the lowest that the tools are set to, without a gap."""
    assert PROMISED == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={OURS}"


@pytest.mark.parametrize("version", [each for each in PROMISED if each != OURS])
def test_the_demo_runs(version: str, tmp_path: Path) -> None:
    """Five reviews over HTTPS, with what requirements.lock pins; a deprecated API fails it."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not on this machine")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    program = tmp_path / "venv" / "bin" / "python"
    options = ("--quiet", "--no-input", "--no-compile", "--disable-pip-version-check", "--require-hashes")
    lock = ROOT / "requirements.lock"
    subprocess.run([program, "-m", "pip", "install", *options, "--requirement", lock], check=True)
    done = subprocess.run(
        [program, "-W", "error::DeprecationWarning", ROOT / "tests" / "demo" / "run.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "webhook"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 objects refused with their remedy, completed and admitted" in done.stdout
