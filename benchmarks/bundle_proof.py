"""`istio-netpol bundle verify` of an overlay, besides the time that kustomize takes for its builds."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, run_command
from benchmarks.plan import Plan
from istio_netpol.bundle.overlays import bases_of

OVERLAY = Path(__file__).parents[1] / "kustomize" / "overlays" / "kind"
RUNS = 5


def figures(plan: Plan) -> Iterator[Figure]:
    """Seconds of the whole command less those of the same builds alone; nothing where no kustomize is."""
    program = shutil.which("kustomize")
    if program is None:
        return
    figure = Figure("bundle verify of an overlay, less kustomize", "s", at_most=1.5)
    folders = [OVERLAY, *bases_of(OVERLAY)]
    for _ in range(plan.times(RUNS)):
        builds = sum(run_command([program, "build", str(folder)])[0] for folder in folders)
        whole, _ = run_command([sys.executable, "-m", "istio_netpol", "bundle", "verify", str(OVERLAY)])
        figure.runs.append(whole - builds)
    yield figure
