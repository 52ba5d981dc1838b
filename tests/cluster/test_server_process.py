"""Servers of a test run end with it, and nothing else does."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.server_process import PORTS, ServerProcess, free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

INTERRUPTED = """\
import signal, sys, time
from pathlib import Path
from tests.cluster.server_process import ServerProcess
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
server = ServerProcess(Path(sys.argv[1]), ["sleep", "600"])
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_the_run_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    """However the run is interrupted; no etcd keeps a port for ever."""
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert is_alive(pid)
        run.send_signal(how)
        run.wait(30)
    wait_until(f"process {pid} is gone", lambda: not is_alive(pid))


def test_stopping_ends_what_was_started_and_nothing_else(tmp_path: Path) -> None:
    """Two clusters side by side, as two workers have, don't end each other's servers."""
    mine, other = ServerProcess(tmp_path, ["sleep", "600"]), ServerProcess(tmp_path, ["sleep", "600"])
    mine.start()
    other.start()
    try:
        pid = mine.pid
        mine.stop(signal.SIGTERM)
        assert (mine.runs, is_alive(pid), other.runs) == (False, False, True)
    finally:
        other.stop()


def test_a_server_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    """A test run never hangs on a server that ignores SIGTERM."""
    server = ServerProcess(tmp_path, ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
    server.start()
    wait_until("it is ready", lambda: server.last_lines() == "ready")
    pid = server.pid
    server.stop(signal.SIGTERM, within=0.2)
    assert not is_alive(pid)


def test_a_server_that_ended_by_itself_is_told_from_one_that_was_stopped(tmp_path: Path) -> None:
    """A test that waits for a server fails at once when it has died, with the end of its log."""
    server = ServerProcess(tmp_path, ["sh", "-c", "echo bad flag; exit 1"])
    server.start()
    wait_until("it has ended", lambda: server.died)
    assert server.last_lines() == "bad flag"
    server.stop()
    assert not server.died


def test_a_free_port_is_one_that_no_client_is_given() -> None:
    """While a server is down, a client that connects to its port is refused."""
    port, other = free_port(), free_port()
    assert port in PORTS
    assert other in PORTS
    assert port != other
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
