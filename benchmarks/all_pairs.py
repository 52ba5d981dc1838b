"""`list`: every pair of workloads, after parsing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from benchmarks.clusters import snapshot_of
from benchmarks.measure import Figure, seconds
from benchmarks.synthetic import Size
from istio_netpol.analysis.listing import connections
from istio_netpol.report.connections import FORMATS

RUNS = 3


def figures() -> Iterator[Figure]:
    """Seconds to compute and format the list of 1,000 and of 5,000 workloads."""
    for namespaces, aim in ((200, "at most 1"), (1000, "at most 20")):
        size = Size(namespaces, pods=False)
        figure = Figure(f"list, {size.workloads:,} workloads", "s", aim=aim)
        for _ in range(RUNS):
            snapshot = snapshot_of(size)
            figure.runs.append(seconds(lambda: deque(FORMATS["json"](connections(snapshot)), maxlen=0)))  # noqa: B023
        yield figure
