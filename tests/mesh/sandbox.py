"""Namespaces of a mesh's own: whatever runs in them ends with the process that asked for them.

`Sandbox` starts one init in new process, mount, network and IPC namespaces, and everything else is started
into them. The init reads from a pipe: when the other end is gone, in whatever way its holder ended, the init
ends, and with it the kernel ends every process, network namespace, interface, mount and packet filter rule.
Nothing of the host is changed, so several sandboxes may run at once.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.cluster.server_process import ServerProcess, end_group

NAMESPACES = ("--pid", "--mount", "--net", "--ipc", "--uts")
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PREFIX = "istio-netpol-mesh-"

KEEPER = """\
setpriv --pdeathsig KILL unshare --fork --kill-child --mount-proc --propagation private "$@"
rm -rf -- "$0"
"""
"""Outlives the tests for the moment that it takes to remove their folder."""

INIT = """\
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs "$0/etc"
mkdir "$0/etc/upper" "$0/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$0/etc/upper,workdir=$0/etc/work" overlay /etc
mkdir /etc/netns
hostname node1
ip link set lo up
echo ready
cat >/dev/null
:
"""
"""Keeps what `ip netns` and iptables write, and what is written to /etc, to the sandbox. The shell stays
while it reads, as something has to collect the processes whose parents are gone."""

ENDS_WITHIN = 60.0


class Sandbox:
    """Runs commands in namespaces of its own; `folder` is for their files, which every user may read."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.folder.chmod(0o755)
        for name in ("etc", "tmp"):
            (self.folder / name).mkdir()
        (self.folder / "tmp").chmod(0o1777)
        self._servers: list[ServerProcess] = []
        folder = str(self.folder)
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, folder, *NAMESPACES, "sh", "-c", INIT, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._await_init()
            self.init = self._find_init()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def command(self, *argv: str | Path, network: str = "", folder: Path | None = None) -> list[str]:
        """The command that runs another one in the sandbox: in its network, or in a network namespace that
        has a name there."""
        into = ["ip", "netns", "exec", network] if network else []
        where = ["env", f"--chdir={folder or self.folder}", f"TMPDIR={self.folder / 'tmp'}"]
        return [
            "nsenter",
            f"--target={self.init}",
            *NAMESPACES,
            "--",
            *into,
            *where,
            *map(str, argv),
        ]

    def run(
        self,
        *argv: str | Path,
        network: str = "",
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the sandbox to its end; unless told otherwise it has to work."""
        process = subprocess.Popen(
            self.command(*argv, network=network),
            env={"PATH": PROGRAMS, "HOME": str(self.folder), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                stdout, stderr = process.communicate(stdin, timeout)
            finally:
                end_group(process)
        assert not check or process.returncode == 0, (
            f"{' '.join(map(str, argv))} ended with {process.returncode}:\n{stdout}{stderr}"
        )
        return subprocess.CompletedProcess([*map(str, argv)], process.returncode, stdout, stderr)

    def process(
        self,
        name: str,
        *argv: str | Path,
        network: str = "",
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ServerProcess:
        """A server of the sandbox, not yet started; its log is `<name>.log` in the sandbox's folder."""
        server = ServerProcess(
            self.folder,
            self.command(*argv, network=network, folder=folder),
            {"PATH": PROGRAMS, **(environment or {})},
            name=name,
            ends_with_parent=False,
        )
        self._servers.append(server)
        return server

    def start(
        self,
        name: str,
        *argv: str | Path,
        network: str = "",
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ServerProcess:
        """Starts a server in the sandbox, where it runs until it is stopped or the sandbox is closed."""
        server = self.process(name, *argv, network=network, folder=folder, environment=environment)
        server.start()
        return server

    def close(self) -> None:
        """Ends everything in the sandbox, and returns when that and the folder are gone."""
        with self._keeper, contextlib.ExitStack() as ending:
            for server in self._servers:
                ending.callback(server.stop)
            ending.callback(end_group, self._keeper)
            self._keeper.communicate(timeout=ENDS_WITHIN)

    def _await_init(self) -> None:
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "ready\n":
            assert self._keeper.stderr is not None
            complaint = self._keeper.stderr.read().strip()
            raise OSError(f"the kernel gives no namespaces of their own to the mesh: {complaint}")

    def _find_init(self) -> int:
        """The init's number on the host: the child of the child of the keeper."""
        number = self._keeper.pid
        for _ in range(2):
            (child,) = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            number = int(child)
        return number
