"""A running container: a process in namespaces of its own, with a file system of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mesh.images import Image

DEFAULT_CAPABILITIES = {
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "net_bind_service",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
}
"""What container runtimes leave to root."""

READS_ALL = "dac_read_search"
"""Lets every user read the checkout and the interpreter, which may be in root's home."""

NAMESPACES = ("unshare", "--mount", "--propagation=private", "--uts", "--pid", "--fork", "--kill-child")
"""Of each container's own."""

LAUNCH = """\
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
read -r pid rest </proc/self/stat
{mounts}
echo "$1" >/proc/sys/kernel/hostname
echo "$pid" >"$2"
shift 2
PATH=$CONTAINER_PATH exec {chroot} {root} "$@"
"""
"""Runs as process 1 of the container. The old /proc still shows what its number is on the node."""


@dataclass(frozen=True, slots=True)
class Command:
    """What runs in a container, and as whom."""

    identity: tuple[str, ...]
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str

    def of(self, argv: Sequence[str]) -> Command:
        """Another command of the same container."""
        return Command(self.identity, tuple(argv), self.environment, self.folder)

    @property
    def words(self) -> list[str]:
        """As it is run once the root is the container's."""
        folder = ["env", f"--chdir={self.folder}"] if self.folder != "/" else []
        return [*self.identity, *folder, *self.argv]


def identity_of(pod: Mapping[str, Any], container: Mapping[str, Any], image: Image) -> tuple[str, ...]:
    """The command that takes on the user and the capabilities of a container. Raises ValueError where the
    container must not run as root and would."""
    group = pod["spec"].get("securityContext", {})
    own = container.get("securityContext", {})
    security = {**group, **own}
    user = security.get("runAsUser", image.user)
    if security.get("runAsNonRoot") and user == 0:
        raise ValueError("container has runAsNonRoot and image will run as root")
    groups = sorted({*group.get("supplementalGroups", ()), *filter(None, [group.get("fsGroup")])})
    kept = _capabilities(own)
    ambient = set() if user == 0 else {READS_ALL}
    return (
        "setpriv",
        f"--reuid={user}",
        f"--regid={security.get('runAsGroup', image.user if 'runAsUser' not in security else 0)}",
        f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
        f"--bounding-set={_set(kept | ambient)}",
        f"--inh-caps={_set(ambient)}",
        f"--ambient-caps={_set(ambient)}",
        "--",
    )


def _capabilities(security: Mapping[str, Any]) -> set[str]:
    if security.get("privileged"):
        return {"all"}
    changes = security.get("capabilities", {})
    dropped = {name.lower() for name in changes.get("drop", ())}
    kept = set() if "all" in dropped else DEFAULT_CAPABILITIES - dropped
    return kept | {name.lower() for name in changes.get("add", ())}


def _set(capabilities: set[str]) -> str:
    return ",".join(["-all", *(f"+{name}" for name in sorted(capabilities))])


LOOKS_AGAIN = 0.02


class Container:
    """One run of a container. `ended` is called with it and its exit code, from a thread of its own."""

    def __init__(
        self,
        name: str,
        folder: Path,
        log: Path,
        entry: Sequence[str],
        command: Command,
        ended: Callable[[Container, int], None],
    ) -> None:
        self.name = name
        self.command = command
        self._folder = folder
        self._log = log
        self._entry = entry
        self._ended = ended
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.began = time.monotonic()

    def start(self, mounts: str, host: str) -> None:
        """Starts it, with the shell commands that make its file system. Raises OSError."""
        root = self._folder / "root"
        chroot = shutil.which("chroot") or "/usr/sbin/chroot"
        script = LAUNCH.format(mounts=mounts, chroot=chroot, root=shlex.quote(str(root)))
        launch = ["sh", "-c", script, "sh", host, str(self._number_file), *self.command.words]
        environment = {**self.command.environment, "CONTAINER_PATH": self.command.environment["PATH"]}
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            # Programs of other users open /dev/stdout, as Envoy does for its access log.
            self._log.chmod(0o666)
            self._process = subprocess.Popen(
                [*self._entry, *NAMESPACES, "--", *launch],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._await, name=f"await {self.name}", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether it is over, or becomes so within that time."""
        return self._over.wait(seconds)

    def terminate(self) -> None:
        """Asks it to end. One that does not listen is killed at once: it would be after the grace period."""
        number = self._number()
        if number is not None and _handles(number, signal.SIGTERM):
            self._signal(number, signal.SIGTERM)
        else:
            self.kill()

    def kill(self) -> None:
        """Ends it and all its processes."""
        number = self._number()
        assert self._process is not None
        if not self._over.is_set():
            self._signal(number or -self._process.pid, signal.SIGKILL)

    def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Runs a command in it; its exit code and output. The code is 124 when it took too long."""
        number = self._await_number()
        if number is None or self._over.is_set():
            return 126, "the container does not run"
        enter = [f"--target={number}", "--mount", "--uts", "--pid", f"--root=/proc/{number}/root", "--wd=/"]
        process = subprocess.Popen(
            ["nsenter", *enter, *self._entry_network(number), "--", *self.command.of(argv).words],
            env=dict(self.command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return 124, f"command {shlex.join(argv)!r} timed out"
        return process.returncode, output.decode(errors="replace")

    def hook(self, hook: Mapping[str, Any], timeout: float) -> tuple[int, str]:
        """Runs a lifecycle hook, as `run` does."""
        if "sleep" in hook:
            return int(self._over.wait(min(timeout, hook["sleep"]["seconds"]))), ""
        if "exec" not in hook:
            return 1, f"the node agent has no hook by {', '.join(hook)}"
        return self.run(hook["exec"]["command"], timeout)

    @property
    def _number_file(self) -> Path:
        return self._folder / "pid"

    @staticmethod
    def _entry_network(number: int) -> list[str]:
        return [f"--net=/proc/{number}/ns/net"]

    def _number(self) -> int | None:
        """The number of its first process on the node, once its file system is mounted."""
        try:
            return int(self._number_file.read_text())
        except (OSError, ValueError):
            return None

    def _await_number(self) -> int | None:
        """The same, waiting while the file system is being mounted."""
        while (number := self._number()) is None and not self._over.wait(LOOKS_AGAIN):
            pass
        return number

    def _signal(self, number: int, which: signal.Signals) -> None:
        try:
            if not self._over.is_set():
                os.kill(number, which)
        except ProcessLookupError:
            pass

    def _await(self) -> None:
        assert self._process is not None
        code = self._process.wait()
        self._over.set()
        self._ended(self, code if code >= 0 else 128 - code)


def _handles(number: int, which: signal.Signals) -> bool:
    """Whether a process has a handler for a signal. The first of its namespace is sent no others."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (which - 1) & 1)
