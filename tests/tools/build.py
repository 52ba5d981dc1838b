"""Builds the programs that the tests run, those that are missing: `make tools`.

Each is built in a folder of its own and moved to its place when it is whole, so a build that is killed leaves
nothing that looks like a program. Go's own cache makes a second build a matter of linking.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.tools.programs import CACHE, PINS, PROGRAMS, Program, built, located

CRDS = PINS / "crds"
STAMPED = {
    "argocd": ("github.com/argoproj/argo-cd/v3", "github.com/argoproj/argo-cd/v3/common.version"),
    "istio": ("istio.io/istio", "istio.io/istio/pkg/version.buildVersion"),
}
"""Where a program keeps its own version, and the module whose version that is."""


def main() -> int:
    """Builds what is missing; 1 when it can't be built, except that without Go only CI minds."""
    missing = [program for program in PROGRAMS if located(program.name) is None]
    go = shutil.which("go")
    if go is None:
        return _without_go(missing)
    try:
        with _alone():
            for program in missing:
                _build(go, program, built())
        _run([go, "-C", str(CRDS), "mod", "download"])
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"\n{error.stderr}tools: `{' '.join(error.cmd)}` failed\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntools: interrupted; what was built so far is kept\n")
        return 130
    return 0


def _without_go(missing: list[Program]) -> int:
    names = ", ".join(program.name for program in missing)
    lacking = f"{names} are not built" if names else "CRDs can't be read"
    print(f"tools: Go is not installed, so {lacking}: tests that need them are skipped", file=sys.stderr)
    return 1 if os.environ.get("CI") == "true" else 0


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Holds the lock of the cache; what an earlier holder left half-done is removed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for half in CACHE.glob(".half-*"):
            shutil.rmtree(half)
        yield


def _build(go: str, program: Program, folder: Path) -> None:
    """Builds one program, unless another run did so while this one waited for the lock."""
    if (folder / program.name).is_file():
        return
    print(f"tools: building {program.name:<23} ", end="", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".half-", dir=CACHE) as half:
        target = Path(half, program.name)
        flags = ["-mod=readonly", "-buildvcs=false", f"-ldflags={_linker_flags(program)}"]
        flags += [f"-tags={program.tags}"] if program.tags else []
        _run([go, "-C", str(PINS / program.pin), "build", *flags, "-o", str(target), program.package])
        folder.mkdir(exist_ok=True)
        target.rename(folder / program.name)
    print(f"{time.monotonic() - started:4.0f} s", flush=True)


def _linker_flags(program: Program) -> str:
    """No symbol tables; and the versions that only the own builds of Argo CD, Istio and Kubernetes stamp."""
    flags = ["-s", "-w"]
    if program.pin in STAMPED:
        module, variable = STAMPED[program.pin]
        text = (PINS / program.pin / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(module)} v(\S+)", text, re.MULTILINE)
        assert found, f"the pin of {program.pin} names no version"
        flags.append(f"-X {variable}={found[1]}")
    if program.pin == "kubernetes":
        text = (PINS / program.pin / "go.mod").read_text()
        found = re.search(r"^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", text, re.MULTILINE)
        assert found, "the pin of kubernetes names no release"
        variables = {"gitVersion": found[1], "gitMajor": found[2], "gitMinor": found[3]}
        flags += [f"-X k8s.io/component-base/version.{name}={value}" for name, value in variables.items()]
    return " ".join(flags)


def _run(command: list[str]) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )


if __name__ == "__main__":
    sys.exit(main())
