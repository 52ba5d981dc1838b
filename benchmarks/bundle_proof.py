"""`istio-netpol bundle verify` of an overlay, besides the time that kustomize takes for its builds."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools.programs import located

from benchmarks.measure import Figure, run_command
from benchmarks.plan import Plan
from istio_netpol.bundle.kustomize import PROGRAM_VARIABLE
from istio_netpol.bundle.overlays import bases_of

OVERLAY = Path(__file__).parents[1] / "kustomize" / "overlays" / "kind"
RUNS = 5


def figures(plan: Plan) -> Iterator[Figure]:
    """Seconds of the whole command less those of the same builds alone, and of its processor time."""
    program = str(located("kustomize") or shutil.which("kustomize") or "")
    if not program:
        print("   skipped: no kustomize; `make tools` builds one")
        return
    wall = Figure("bundle verify of an overlay, less kustomize", "s", at_most=1.5)
    processor = Figure("its processor time, with kustomize", "s")
    folders = [OVERLAY, *bases_of(OVERLAY)]
    with _named(program):
        for _ in range(plan.times(RUNS)):
            builds = sum(run_command([program, "build", str(folder)])[0] for folder in folders)
            before = _of_children()
            whole, _ = run_command([sys.executable, "-m", "istio_netpol", "bundle", "verify", str(OVERLAY)])
            processor.runs.append(_of_children() - before)
            wall.runs.append(whole - builds)
    yield wall
    yield processor


@contextmanager
def _named(program: str) -> Iterator[None]:
    """Has the command use this kustomize."""
    before = dict(os.environ)
    os.environ[PROGRAM_VARIABLE] = program
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _of_children() -> float:
    """The processor time of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
