"""`istio-netpol check` of a whole cluster, against what PyYAML's C loader takes to read the same file."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.measure import Figure, run_command
from benchmarks.plan import Plan
from benchmarks.settings import write_settings
from benchmarks.synthetic import Size, write

LOAD = "import sys, yaml\nfor _ in yaml.load_all(open(sys.argv[1], 'rb'), Loader=yaml.CSafeLoader): pass"
RUNS = 3


def figures(plan: Plan) -> Iterator[Figure]:
    """Seconds and memory at full size and at a tenth of it, the runs of both programs taken in turn."""
    whole, tenth = plan.size, Size(max(1, plan.size.namespaces // 10))
    medians = []
    for size in (tenth, whole):
        measured = list(_of(plan, size, is_whole=size is whole))
        medians.append(measured[0].median)
        yield from measured
    growth = Figure("check: cost of an object, whole / a tenth", "x", at_most=1.2)
    growth.runs.append(medians[1] / medians[0] * tenth.namespaces / whole.namespaces)
    yield growth


def _of(plan: Plan, size: Size, *, is_whole: bool) -> Iterator[Figure]:
    path = plan.folder / f"cluster-{size.namespaces}.yaml"
    write(str(path), size, plan.seed)
    config = write_settings(plan.folder / "settings.yaml", size)
    label = f"{size.pods_count:,} pods"
    check, loader = Figure(f"check, {label}", "s"), Figure(f"PyYAML's C loader alone, {label}", "s")
    ratio = Figure(f"check / C loader, {label}", "x", at_most=3)
    memory = Figure(f"check, {label}: peak memory", "MiB", at_most=400 if is_whole else None)
    command = [sys.executable, "-m", "istio_netpol", "check", "--offline", "-f", "json"]
    for _ in range(RUNS):
        loaded, _ = run_command([sys.executable, "-c", LOAD, str(path)])
        wall, peak = run_command([*command, "--config", str(config), str(path)])
        loader.runs.append(loaded)
        check.runs.append(wall)
        memory.runs.append(peak)
        ratio.runs.append(wall / loaded)
    yield from (check, loader, ratio, memory)
