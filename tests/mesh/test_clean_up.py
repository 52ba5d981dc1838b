"""Nothing of a mesh is left, however the run of pytest that started it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.mesh.images import CHECKOUT
from tests.mesh.machine import require_mesh
from tests.waiting import wait_until

ONE_SERVER = """\
import json, time
from pathlib import Path
import pytest
from tests.mesh import topology
from tests.mesh.host_link import HostLink
from tests.mesh.sandbox import Sandbox
from tests.tools.programs import located

@pytest.fixture(scope="session")
def made():
    with Sandbox() as sandbox:
        layout = [*topology.worker(), *topology.control_plane(), *topology.outside()]
        layout += topology.attach("shop.cart", "10.244.0.2")
        sandbox.run(*topology.script(layout))
        link = HostLink(sandbox)
        data = ("--data-dir", sandbox.folder / "etcd")
        etcd = sandbox.start("etcd", located("etcd"), *data, network=topology.CONTROL_PLANE_NETWORK)
        stubborn = sandbox.start("stubborn", "sh", "-c", "trap '' TERM INT; sleep 600", network="shop.cart")
        sandbox.run("mount", "-t", "tmpfs", "left-over", "/mnt")
        sandbox.run("iptables", "-A", "FORWARD", "-s", "10.244.0.2", "-j", "DROP")
        sandbox.run("nft", "add", "table", "inet", "left_over")
        yield [str(sandbox.folder), f"/sys/class/net/{link.interface}"]
"""
"""The kinds of things that a mesh makes, without the time that it takes."""

WHOLE_MESH = """\
import json, time
from pathlib import Path
import pytest
from tests.mesh.mesh import started

@pytest.fixture(scope="session")
def made():
    with started() as mesh:
        yield [str(mesh.sandbox.folder), f"/sys/class/net/{mesh.control_plane.link.interface}"]
"""

TEST = """
def test_something(made):
    Path(__file__).with_name("made.json").write_text(json.dumps(made))
    ENDS
"""

FOR_LONG = "time.sleep(600)"
ENDS: dict[str, tuple[str, str, signal.Signals | None, int]] = {
    "success": (ONE_SERVER, "pass", None, 0),
    "failure": (ONE_SERVER, "assert False", None, 1),
    "interruption": (ONE_SERVER, FOR_LONG, signal.SIGINT, 2),
    "crash": (WHOLE_MESH, FOR_LONG, signal.SIGKILL, -signal.SIGKILL),
}

RUNS = {
    ONE_SERVER: {"etcd", "sleep"},
    WHOLE_MESH: {
        "etcd",
        "kube-apiserver",
        "kube-controller",  # the kernel keeps fifteen letters
        "kube-scheduler",
        "kube-proxy",
        "pilot-discovery",
        "pilot-agent",
        "envoy",
        "coredns",
        "python",
    },
}
"""Some of the processes of each, by their names."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a run has made: processes, the namespaces that they are in, and paths."""

    processes: Mapping[int, str]
    namespaces: set[str]
    paths: tuple[str, ...]


def start_run(folder: Path, makes: str, ends: str) -> subprocess.Popen[str]:
    """A run of pytest with one test."""
    folder.mkdir()
    file = folder / "test_run.py"
    file.write_text(makes + TEST.replace("ENDS", ends))
    command = ["env", "--default-signal=INT", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, "-c", str(CHECKOUT / "pyproject.toml"), "--rootdir", str(CHECKOUT), str(file)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def what_it_made(run: subprocess.Popen[str], folder: Path) -> Made:
    """What there is while the test runs."""
    report = folder / "made.json"
    wait_until("the test runs", lambda: report.exists() and report.read_text(), 180)
    paths = json.loads(report.read_text())
    processes = descendants(run.pid)
    return Made(processes, namespaces(processes) - namespaces([os.getpid()]), tuple(paths))


def descendants(ancestor: int) -> dict[int, str]:
    """The names of the processes that a process has started, of those that these have, and so on."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    children: dict[int, list[tuple[int, str]]] = {}
    for number, parent, name in rows:
        children.setdefault(int(parent), []).append((int(number), name))
    found: dict[int, str] = {}
    to_do = [ancestor]
    while to_do:
        own = dict(children.get(to_do.pop(), ()))
        found |= own
        to_do += own
    return found


def namespaces(processes: Iterable[int]) -> set[str]:
    """The process, mount and network namespaces in which processes run."""
    found = set()
    for number in processes:
        for kind in ("pid", "mnt", "net"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{number}/ns/{kind}"))
    return found


def remains(made: Made) -> list[str]:
    """What of it is still there, on the host."""
    left = [f"process {number} {name}" for number, name in made.processes.items() if _runs(number, name)]
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    left += sorted(made.namespaces & namespaces(running))
    return [*left, *(path for path in made.paths if Path(path).exists())]


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


def _runs(number: int, name: str) -> bool:
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return f"({name})" in stat and stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left(tmp_path: Path, how: str) -> None:
    """Neither on the host nor of the processes and their namespaces."""
    require_mesh()
    makes, body, sent, code = ENDS[how]
    before = of_the_host()
    with start_run(tmp_path / "run", makes, body) as run:
        if sent is not None:
            made = what_it_made(run, tmp_path / "run")
            assert set(made.processes.values()) >= RUNS[makes]
            assert made.namespaces
            assert all(Path(path).exists() for path in made.paths)
            assert of_the_host() == before
            run.send_signal(sent)
        printed = run.communicate(timeout=120)[0]
    assert run.returncode == code, printed
    if sent is None:
        made = Made({}, set(), tuple(json.loads((tmp_path / "run" / "made.json").read_text())))
    wait_until("nothing is left", lambda: not remains(made), 30, says=lambda: ", ".join(remains(made)))
    assert of_the_host() == before


def test_runs_side_by_side_do_not_end_each_other(tmp_path: Path) -> None:
    require_mesh()
    waits = "while not Path(__file__).with_name('end').exists(): time.sleep(0.1)"
    with (
        start_run(tmp_path / "one", ONE_SERVER, FOR_LONG) as one,
        start_run(tmp_path / "two", ONE_SERVER, waits) as two,
    ):
        first, second = what_it_made(one, tmp_path / "one"), what_it_made(two, tmp_path / "two")
        before = remains(second)
        assert set(second.processes.values()) >= RUNS[ONE_SERVER]
        one.kill()
        one.communicate(timeout=180)
        wait_until("the first is gone", lambda: not remains(first), 30)
        assert remains(second) == before
        (tmp_path / "two" / "end").touch()
        printed = two.communicate(timeout=120)[0]
        assert two.returncode == 0, printed
    wait_until("the second is gone", lambda: not remains(second), 30)
