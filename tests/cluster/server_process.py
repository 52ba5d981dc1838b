"""A server that lives no longer than the process that started it, and logs to a file."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PORTS = range(20000, 32768)
"""Below the ports that systems give to outgoing connections: while a server is down, no client's own
connection can take its port, or reach itself there."""

DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of prctl(2)."""

_IS_THERE = 0
"""The signal that kill(2) only checks."""

_CANDIDATES = itertools.count(os.getpid() * 16)
"""Workers that start at the same moment look at different ports."""

_TAKEN: list[socket.socket] = []
"""A name for each port that was given out, which no other run is given while this one lasts."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; another one at every call, and for every run of tests:
    while its server is down, no other one starts there."""
    for number in itertools.islice(_CANDIDATES, 100):
        port = PORTS[number % len(PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if _is_ours(port):
            return port
    raise AssertionError(f"none of 100 ports between {PORTS[0]} and {PORTS[-1]} is free")


def _is_ours(port: int) -> bool:
    """Takes a port's name, if nobody has it; where names can't be taken, luck has to do."""
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0port-{port}-of-a-test")
    except OSError:
        name.close()
        return False
    _TAKEN.append(name)
    return True


class ServerProcess:
    """Runs a command in `folder`, where its log is `<name>.log`; it can be stopped and started again.

    It ends with the thread that started it, unless something else sees to that (`ends_with_parent`).
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        *,
        name: str = "",
        ends_with_parent: bool = True,
    ) -> None:
        self.command = [str(part) for part in command]
        self.name = name or Path(self.command[0]).name
        self.log = folder / f"{self.name}.log"
        self._folder = folder
        self._before_exec = _end_with_parent if ends_with_parent else None
        self._environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Whether it ended without being asked to."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Starts it, in a session of its own so that Ctrl-C is for the tests alone to handle."""
        assert not self.runs, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._before_exec,  # noqa: PLW1509 - one system call, which takes no lock
            )

    def stop(self, how: signal.Signals = signal.SIGKILL, within: float = 30.0) -> None:
        """Ends it, if it runs, and waits until it is gone. SIGTERM lets it finish what is in flight."""
        if self._process is not None:
            end_group(self._process, how, within)
            self._process = None

    def last_lines(self, count: int = 20) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-count:])


def end_group(
    leader: subprocess.Popen[Any], how: signal.Signals = signal.SIGKILL, within: float = 30.0
) -> None:
    """Signals a process and the rest of the group that it leads, and waits until all are gone; what is left
    after `within` seconds is killed. A program that only starts another one, as nsenter does, passes no
    signal on."""
    if leader.poll() is not None:
        return
    ends = time.monotonic() + within
    number: int = how
    while _signal_group(leader, number):
        number = signal.SIGKILL if time.monotonic() > ends else _IS_THERE
        time.sleep(0.01)


def _signal_group(leader: subprocess.Popen[Any], number: int) -> bool:
    """Whether anything of the group was still there to be signalled."""
    leader.poll()
    try:
        os.killpg(leader.pid, number)
    except ProcessLookupError:
        return False
    return True


_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Asks the kernel to kill this process when the thread that started it is gone, however that ended."""
    if _LIBRARY is not None:
        _LIBRARY.prctl(DEATH_SIGNAL, signal.SIGKILL)
