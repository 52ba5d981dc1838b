"""Nothing of a mesh is left, however the run of pytest that started it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.mesh.machine import require_mesh
from tests.mesh.waiting import wait_until

ROOT = Path(__file__).parents[2]

RUN = """\
import json, time
from pathlib import Path
import pytest
from tests.mesh import topology
from tests.mesh.control_plane import ControlPlane
from tests.mesh.host_link import HostLink
from tests.mesh.sandbox import Sandbox

@pytest.fixture(scope="session")
def made():
    with Sandbox() as sandbox:
        layout = [*topology.worker(), *topology.control_plane(), *topology.outside()]
        layout += topology.attach("shop.cart", "10.244.0.2")
        sandbox.run(*topology.script(layout))
        link = HostLink(sandbox)
        plane = ControlPlane(sandbox, link)
        plane.start()
        stubborn = sandbox.start("stubborn", "sh", "-c", "trap '' TERM INT; sleep 600", network="shop.cart")
        sandbox.run("mount", "-t", "tmpfs", "left-over", "/mnt")
        sandbox.run("iptables", "-A", "FORWARD", "-s", "10.244.0.2", "-j", "DROP")
        sandbox.run("nft", "add", "table", "inet", "left_over")
        yield {
            "init": sandbox.init,
            "pids": [stubborn.pid, *(server.pid for server in plane.servers)],
            "folder": str(sandbox.folder),
            "interface": link.interface,
        }

def test_something(made):
    Path(__file__).with_name("made.json").write_text(json.dumps(made))
    ENDS
"""

ENDS: dict[str, tuple[str, signal.Signals | None, int]] = {
    "success": ("pass", None, 0),
    "failure": ("assert False", None, 1),
    "interruption": ("time.sleep(600)", signal.SIGINT, 2),
    "termination": ("time.sleep(600)", signal.SIGTERM, -signal.SIGTERM),
    "crash": ("time.sleep(600)", signal.SIGKILL, -signal.SIGKILL),
}


def start_run(folder: Path, ends: str) -> subprocess.Popen[str]:
    """A run of pytest with one test, which starts what a mesh consists of."""
    folder.mkdir()
    file = folder / "test_run.py"
    file.write_text(RUN.replace("ENDS", ends))
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        ROOT / "pyproject.toml",
    ]
    return subprocess.Popen(
        [*map(str, command), "--rootdir", str(ROOT), str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def what_it_made(run: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    """What there is while the test runs."""
    report = folder / "made.json"
    wait_until("the test runs", lambda: report.exists() and report.read_text(), 120)
    return dict(json.loads(report.read_text()))


def remains(made: dict[str, Any]) -> list[str]:
    """What of it is still there, on the host."""
    left = [f"process {pid}" for pid in (made["init"], *made["pids"]) if _runs(pid)]
    left += [path for path in (made["folder"], f"/sys/class/net/{made['interface']}") if Path(path).exists()]
    return left


def of_the_host() -> dict[str, str]:
    """What meshes make in their own namespaces, and nowhere else."""
    asked = {
        "network namespaces": ["ip", "netns"],
        "rules": ["nft", "list", "ruleset"],
        "mounts": ["findmnt", "--noheadings", "--list", "--output=TARGET"],
        "forwarding": ["sysctl", "net.ipv4.ip_forward"],
        "name": ["hostname"],
    }
    said = {
        what: subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for what, argv in asked.items()
    }
    ours = re.compile(r"/(?:etc|run/netns|mnt|dev/shm|sys)$|istio-netpol-mesh")
    said["mounts"] = "\n".join(sorted(filter(ours.search, said["mounts"].splitlines())))
    return said | {"/etc": " ".join(sorted(path.name for path in Path("/etc").iterdir()))}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left(tmp_path: Path, how: str) -> None:
    """Two runs at once, of which one ends before the other: they don't end each other."""
    require_mesh()
    body, sent, code = ENDS[how]
    before = of_the_host()
    with start_run(tmp_path / "run", body) as run:
        made = what_it_made(run, tmp_path / "run")
        if sent is not None:
            assert len(remains(made)) == len(made["pids"]) + 3
            assert of_the_host() == before
            run.send_signal(sent)
        printed = run.communicate(timeout=120)[0]
    assert run.returncode == code, printed
    wait_until("nothing is left", lambda: not remains(made), 30, says=lambda: ", ".join(remains(made)))
    assert of_the_host() == before


def test_runs_side_by_side_do_not_end_each_other(tmp_path: Path) -> None:
    require_mesh()
    waits = "while not Path(__file__).with_name('end').exists(): time.sleep(0.1)"
    with start_run(tmp_path / "one", "time.sleep(600)") as one, start_run(tmp_path / "two", waits) as two:
        first = what_it_made(one, tmp_path / "one")
        second = what_it_made(two, tmp_path / "two")
        one.kill()
        one.communicate(timeout=60)
        wait_until("the first is gone", lambda: not remains(first), 30)
        assert len(remains(second)) == len(second["pids"]) + 3
        (tmp_path / "two" / "end").touch()
        printed = two.communicate(timeout=120)[0]
        assert two.returncode == 0, printed
    wait_until("the second is gone", lambda: not remains(second), 30)
