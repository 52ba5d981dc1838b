"""`make tools`, with a stand-in for Go: what it builds, what it says, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.tools.programs import ASSETS, PINS, PROGRAMS

GO = """\
#!/bin/sh
echo "$*" >> "$GO_LOG"
case "$*" in
*"$GO_FAILS"*) [ -n "$GO_FAILS" ] && { echo "go: no such package" >&2; exit 1; } ;;
esac
[ "$3" = mod ] && exit 0
while [ "$1" != -o ]; do shift; done
echo half > "$2"
[ -n "$GO_HANGS" ] && { echo $$ > "$GO_HANGS"; exec sleep 600; }
echo program > "$2"
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the pins and scripts, with nothing built."""

    root: Path
    environment: dict[str, str]

    @property
    def calls(self) -> list[str]:
        """What Go was asked for."""
        log = Path(self.environment["GO_LOG"])
        return log.read_text().splitlines() if log.exists() else []

    @property
    def made(self) -> dict[str, str]:
        """The files that were built, and what is in them."""
        return {file.name: file.read_text() for file in self.root.glob("build/tools/[!.]*/*")}

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.tools.build"],
            cwd=self.root,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, **environment: str) -> tuple[int, str, str]:
        """Runs `make tools`: the exit code and both outputs."""
        with self.start(**environment) as process:
            stdout, stderr = process.communicate(timeout=180)
            return process.returncode, stdout, stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "checkout"
    shutil.copytree(PINS, root / "tests" / "tools", ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "go").write_text(GO)
    (programs / "go").chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "GO_LOG": str(tmp_path / "go.log"),
        "GO_FAILS": "",
        "GO_HANGS": "",
    }
    return Checkout(root, environment)


def test_all_programs_are_built_a_line_each(checkout: Checkout) -> None:
    """A contributor sees what takes its time."""
    code, stdout, stderr = checkout.build()
    assert (code, stderr) == (0, "")
    assert checkout.made == {program.name: "program\n" for program in PROGRAMS}
    assert [line.split()[:3] for line in stdout.splitlines()] == [
        ["tools:", "building", program.name] for program in PROGRAMS
    ]
    assert all(line.endswith(" s") for line in stdout.splitlines())


def test_kubernetes_says_which_release_it_is(checkout: Checkout) -> None:
    """Without the stamp of its own build it would call itself v0.0.0."""
    checkout.build()
    (call,) = (call for call in checkout.calls if call.endswith("cmd/kube-apiserver"))
    for variable in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"-X k8s.io/component-base/version.{variable}" in call


def test_only_what_is_missing_is_built(checkout: Checkout) -> None:
    """A second run says nothing, and one lost program is one build."""
    checkout.build()
    (helm,) = checkout.root.glob("build/tools/*/helm")
    helm.unlink()
    assert checkout.build()[1].split()[:3] == ["tools:", "building", "helm"]
    assert checkout.build() == (0, "", "")


def test_assets_are_not_built(checkout: Checkout, tmp_path: Path) -> None:
    """Whoever names envtest's programs waits for the others only."""
    for name in ASSETS:
        (tmp_path / name).touch()
    checkout.build(KUBEBUILDER_ASSETS=str(tmp_path))
    assert set(checkout.made) == {program.name for program in PROGRAMS} - set(ASSETS)


def test_other_pins_are_built_beside(checkout: Checkout) -> None:
    """Going back to another branch finds its programs."""
    checkout.build()
    with (checkout.root / "tests/tools/helm/go.sum").open("a") as checksums:
        checksums.write("\n")
    checkout.build()
    assert len(list(checkout.root.glob("build/tools/*/etcd"))) == 2


def test_a_build_that_is_killed_leaves_nothing_half(checkout: Checkout) -> None:
    """The next run starts that program anew and cleans up."""
    hanging = checkout.root / "pid"
    with checkout.start(GO_HANGS=str(hanging)) as process:
        ends = time.monotonic() + 60
        while not (hanging.exists() and hanging.read_text()):
            assert time.monotonic() < ends, "the build did not start"
            time.sleep(0.02)
        process.kill()
    os.kill(int(hanging.read_text()), signal.SIGKILL)
    assert [file.read_text() for file in checkout.root.glob("build/tools/.half-*/etcd")] == ["half\n"]
    assert checkout.made == {}
    assert checkout.build()[0] == 0
    assert checkout.made == {program.name: "program\n" for program in PROGRAMS}
    assert list(checkout.root.glob("build/tools/.half-*")) == []


def test_two_builds_at_once_build_each_program_once(checkout: Checkout) -> None:
    """The second waits for the first and finds all there."""
    with checkout.start() as first, checkout.start() as second:
        assert [first.wait(60), second.wait(60)] == [0, 0]
    builds = [call for call in checkout.calls if " build " in call]
    assert len(builds) == len(PROGRAMS)


def test_a_build_that_fails_says_why(checkout: Checkout) -> None:
    """With Go's own words, and the command to try by hand."""
    code, _, stderr = checkout.build(GO_FAILS="cmd/kubectl")
    assert code == 1
    assert "go: no such package\ntools: `" in stderr
    assert stderr.endswith("k8s.io/kubernetes/cmd/kubectl` failed\n")
    assert set(checkout.made) == {"etcd", "kube-apiserver"}


@pytest.mark.parametrize(("ci", "expected"), [("", 0), ("true", 1)])
def test_without_go_only_ci_fails(checkout: Checkout, tmp_path: Path, ci: str, expected: int) -> None:
    """Others run the tests that need no cluster, and are told."""
    code, stdout, stderr = checkout.build(PATH=str(tmp_path), CI=ci)
    assert (code, stdout) == (expected, "")
    assert stderr.startswith("tools: Go is not installed, so etcd, kube-apiserver, ")
    assert stderr.endswith(" are not built: tests that need them are skipped\n")
