"""What a newcomer types first works, on every Python that the metadata promises and this machine has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from release.tree import export
from tests.release.package_index import require_package_index

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


@pytest.mark.parametrize("version", [promised for promised in PROMISED if promised != OURS])
def test_a_clone_shows_the_demo(version: str, tmp_path: Path) -> None:
    """`make install` and `make demo` in a fresh clone: five reviews over HTTPS, with what requirements.lock
    pins and nothing else. A deprecated API fails it."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not on this machine")
    require_package_index(tmp_path)
    export(ROOT, tmp_path)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "PYTHONPATH")
    }
    make("install", f"PYTHON={python}", folder=tmp_path, environment=environment)
    listed = subprocess.run(
        [tmp_path / ".venv" / "bin" / "python", "-m", "pip", "list", "--format=json"],
        capture_output=True,
        check=True,
    )
    installed = {entry["name"].lower().replace("_", "-") for entry in json.loads(listed.stdout)}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert installed == locked | {"istio-netpol", "pip", "setuptools"}
    environment["PYTHONWARNINGS"] = "error::DeprecationWarning"
    told = make("demo", f"PYTHON={python}", folder=tmp_path, environment=environment)
    assert "5 objects refused with their remedy, completed and admitted" in told


def make(*arguments: str, folder: Path, environment: dict[str, str]) -> str:
    command = ["make", "--no-print-directory", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
