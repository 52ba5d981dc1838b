"""Running kustomize."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.waiting import wait_until

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.errors import ToolError


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def sentence(kustomize: Kustomize, folder: Path) -> str:
    with pytest.raises(ToolError) as caught:
        kustomize.build(folder)
    return str(caught.value)


def test_kustomize_is_asked_first(path: Path, tmp_path: Path) -> None:
    """kubectl has an older one built in."""
    script(path / "kustomize", 'echo "kustomize: $@"')
    script(path / "kubectl", 'echo "kubectl: $@"')
    assert Kustomize().build(tmp_path) == f"kustomize: build {tmp_path}\n".encode()


def test_kubectl_stands_in(path: Path, tmp_path: Path) -> None:
    """Most people have it."""
    script(path / "kubectl", 'echo "kubectl: $@"')
    assert Kustomize().build(tmp_path) == f"kubectl: kustomize {tmp_path}\n".encode()


def test_no_program_is_told_with_ways_out(path: Path, tmp_path: Path) -> None:
    """Install one, name one, or build it yourself."""
    assert sentence(Kustomize(), tmp_path) == (
        "the folder is built with kustomize, which is not installed; install kustomize or kubectl, or name "
        "the program with ISTIO_NETPOL_KUSTOMIZE, or pipe the built manifests in and read them with `-`"
    )


def test_a_folder_is_never_a_command(path: Path, tmp_path: Path) -> None:
    """No shell reads the folder's name."""
    script(path / "kustomize", 'printf "%s" "$2"')
    folder = tmp_path / "a; touch pwned $(id) 'b"
    assert Kustomize().build(folder) == str(folder).encode()


def test_a_failure_without_words_has_its_status(path: Path, tmp_path: Path) -> None:
    """There is nothing else to say."""
    program = script(path / "kustomize", "exit 3")
    assert sentence(Kustomize(), tmp_path) == f"{program} build {tmp_path} failed: exit status 3"


@pytest.mark.parametrize(
    ("logged", "told"),
    [
        ('"no \\"base\\" here"', 'no "base" here'),
        ("<\n\tfailed to run git: fatal: not found\n\t: exit status 128\n >",
         "failed to run git: fatal: not found : exit status 128"),
    ],
)  # fmt: skip
def test_what_kubectl_logs_is_told_without_its_time(
    path: Path, tmp_path: Path, logged: str, told: str
) -> None:
    """Google's kubectl logs its error, over several lines where it has several."""
    line = f'E1130 23:27:00.638660    2145 run.go:72] "command failed" err={logged}'
    program = script(path / "kubectl", f"/bin/cat >&2 <<'EOF'\nI1130 a warning\n{line}\nEOF\nexit 1")
    assert sentence(Kustomize(), tmp_path) == f"{program} kustomize {tmp_path} failed: {told}"


def test_a_build_that_is_killed_says_so(path: Path, tmp_path: Path) -> None:
    """A file of aliases of aliases takes all memory, for one."""
    program = script(path / "kustomize", "kill -KILL $$")
    assert sentence(Kustomize(), tmp_path) == (
        f"{program} build {tmp_path} failed: it was killed, which happens to a program that takes more "
        "memory than there is"
    )


def test_a_build_that_hangs_is_ended(path: Path, tmp_path: Path) -> None:
    """With everything that it started, which may hold its output open."""
    pid = tmp_path / "pid"
    program = script(path / "kustomize", f"/bin/sleep 600 &\necho $! > {pid}\nwait")
    started = time.monotonic()
    for seconds in (0.5, 5, 50):
        told = f"{program} build {tmp_path} took more than {seconds} seconds"
        assert sentence(Kustomize(timeout=seconds), tmp_path) == told
        if pid.exists() and (number := pid.read_text()):
            break  # on a busy machine it was ended before it had started anything
    assert time.monotonic() - started < 300
    wait_until("what it started has ended", lambda: not _runs(int(number)))


def test_a_program_that_can_not_run_is_told(path: Path, tmp_path: Path) -> None:
    """A file for another machine, for example."""
    program = path / "kustomize"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    assert sentence(Kustomize(), tmp_path) == f"{program} can't be run: Exec format error"


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent to notice."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
