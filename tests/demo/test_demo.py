"""What a newcomer sees who types `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def told() -> str:
    """The demo's output, run as the Makefile runs it, from another folder."""
    command = [sys.executable, str(ROOT / "tests" / "demo" / "run.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "webhook")}
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=180, cwd="/", env=environment
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_the_demo_tells_its_story() -> None:
    """Five objects are refused with a whole remedy, completed and admitted, fit to read in a terminal, and
    the end says where to go next."""
    story = told()
    verdicts = [word for word in story.split() if word in {"REFUSED", "ADMITTED"}]
    assert verdicts == ["REFUSED", "ADMITTED"] * 5
    assert [story.count(f"\n{number}. ") for number in (1, 2, 3, 4, 5, 6)] == [1, 1, 1, 1, 1, 0]
    assert story.count("   | kubectl apply -f - <<'EOF'\n") == 5
    for name in ("egress-istiod-", "proxy-to-istiod-httpbin-", "workload-to-workload-nginx-"):
        assert f"   |   name: {name}" in story
    assert "   |         cidr: 185.199.108.0/22\n" in story
    assert "   + istio-netpol-generated/istio-system--istiod-to-jwks-istiod-" in story

    assert "\x1b" not in story, "colours in a pipe"
    # A path is printed whole, so that it can be copied.
    assert all(len(line) <= 100 for line in story.splitlines() if not line.lstrip().startswith("+ "))
    assert all(scene.count("\n") <= 70 for scene in story.split("\n   mode reject: "))

    closing = story[story.index("\n5 objects refused") :]
    assert "Where to go next:" in closing
    for command in ("check", "generate", "explain"):
        assert f".venv/bin/istio-netpol {command} " in closing
