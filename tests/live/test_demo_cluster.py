"""What somebody sees who types `make demo-cluster`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.fixtures import require, require_go
from tests.kube.following import wait_until

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, str(ROOT / "tests" / "demo" / "cluster.py")]


@pytest.fixture(autouse=True)
def programs() -> None:
    require("helm", "kube-controller-manager")
    require_go()


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the demo starts with; nothing of it is left afterwards, neither a process nor a file."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    yield {**os.environ, "PYTHONPATH": str(ROOT / "webhook"), "TMPDIR": str(folder)}
    wait_until(lambda: not list(commands_with(str(folder))))
    assert list(folder.iterdir()) == []


def commands_with(word: str) -> Iterator[str]:
    """The command lines of processes that have a word in them."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in command:
            yield command


def test_the_walk_tells_its_story(environment: dict[str, str]) -> None:
    """Five scenarios with what is typed and what comes of it, policies that come back, no log lines, and an
    end of its own, all within the width of a terminal."""
    ran = subprocess.run(
        DEMO, env=environment, cwd="/", capture_output=True, text=True, timeout=400, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    story = ran.stdout
    assert [story.count(f"\n{number}. ") for number in (1, 2, 3, 4, 5, 6)] == [1, 1, 1, 1, 1, 0]
    assert " ".join(story.split()).count(" is refused: policies deny ") == 6
    assert story.count("In mode augment, istio-netpol adds these policies itself:") == 6
    assert story.count("\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n") == 2
    assert story.count("Warning: istio-netpol added NetworkPolicy") >= 15
    restored = story[story.index("Somebody deletes policies by hand.") :]
    names = [line.split()[0] for line in restored.splitlines() if "app=httpbin,version=v1" in line]
    assert len(names) == 2
    assert all(f"{name}" in restored.partition("$ kubectl get")[0] for name in names)
    assert "\x1b" not in story, "colours in a pipe"
    table = [line for line in story.splitlines() if len(line) > 100]
    assert table == []


def test_ctrl_c_ends_all_that_was_started(environment: dict[str, str]) -> None:
    """In the middle of it, with exit code 130, one word and no traceback."""
    with subprocess.Popen(
        DEMO, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("$ kubectl"):
                break
        demo.send_signal(signal.SIGINT)
        _, told = demo.communicate(timeout=120)
    assert (demo.returncode, told) == (130, "\nStopping what was started ...\n")
