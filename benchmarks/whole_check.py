"""`istio-netpol check` of a whole cluster, against what PyYAML's C loader takes to read the same file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, run_command
from benchmarks.synthetic import Size, write

LOAD = "import sys, yaml\nfor _ in yaml.load_all(open(sys.argv[1], 'rb'), Loader=yaml.CSafeLoader): pass"
RUNS = 3


def figures(folder: Path) -> Iterator[Figure]:
    """Seconds and memory at full size and at a tenth of it, the runs of both programs taken in turn."""
    for label, size in (("20,000 pods", Size()), ("2,000 pods", Size(100))):
        path = folder / f"cluster-{size.namespaces}.yaml"
        write(str(path), size)
        check = Figure(f"check, {label}", "s")
        memory = Figure(f"check, {label}, peak memory", "MiB", aim="at most 400" if size == Size() else "")
        loader = Figure(f"C loader alone, {label}", "s")
        ratio = Figure(f"check / C loader, {label}", "x", aim="at most 3")
        for _ in range(RUNS):
            loaded, _ = run_command([sys.executable, "-c", LOAD, str(path)])
            wall, peak = run_command(
                [sys.executable, "-m", "istio_netpol", "check", "--offline", "-f", "json", str(path)]
            )
            loader.runs.append(loaded)
            check.runs.append(wall)
            memory.runs.append(peak)
            ratio.runs.append(wall / loaded)
        yield from (check, loader, ratio, memory)
