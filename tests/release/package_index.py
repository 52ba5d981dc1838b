"""Whether packages can be installed here, which some tests do as a newcomer would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "blinker"
"""Small, and one that the lock pins."""


def require_package_index(folder: Path) -> None:
    """Skips the test that installs packages where pip reaches none; in CI it fails."""
    options = ("--no-deps", "--quiet", "--no-input", "--retries", "0", "--timeout", "60", "--no-cache-dir")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder / "index"), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    reason = "pip reaches no package index from here"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}: {done.stderr}", pytrace=False)
    pytest.skip(reason)
