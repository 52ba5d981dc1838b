"""What a newcomer sees who types `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told() -> str:
    """The demo's output, run as the Makefile runs it, from another folder."""
    command = [sys.executable, str(ROOT / "tests" / "demo" / "run.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "webhook")}
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, cwd="/", env=environment
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_five_are_refused_then_admitted(told: str) -> None:
    """Each of the five scenarios is refused with a remedy, then completed and admitted."""
    scenes = told.split("\n\n1. ")[1]
    assert [scenes.count(f"\n{number}. ") for number in (2, 3, 4, 5, 6)] == [1, 1, 1, 1, 0]
    assert told.count("   REFUSED  ") == told.count("   ADMITTED  ") == 5
    assert told.count("   | kubectl apply -f - <<'EOF'\n") == 5
    story = [word for word in told.split() if word in {"REFUSED", "ADMITTED"}]
    assert story == ["REFUSED", "ADMITTED"] * 5
    for name in ("egress-istiod-", "proxy-to-istiod-httpbin-", "workload-to-workload-nginx-"):
        assert f"   |   name: {name}" in told
    assert "   |         cidr: 185.199.108.0/22\n" in told
    assert "   + istio-netpol-generated/istio-system--istiod-to-jwks-istiod-" in told


def test_it_ends_with_where_to_go_next(told: str) -> None:
    """The last lines name the commands for one's own manifests, and they exist."""
    closing = told[told.index("\n5 objects refused") :]
    assert "Where to go next:" in closing
    for command in ("check", "generate", "explain"):
        assert f".venv/bin/istio-netpol {command} " in closing
    assert (ROOT / "docs").is_dir()


def test_it_is_fit_to_read(told: str) -> None:
    """In a pipe there is no colour; lines fit a terminal, and no scene is longer than a screen or two."""
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) <= 100
    assert all(scene.count("\n") <= 70 for scene in told.split("\n   mode reject: "))
