"""`list`: every pair of workloads, after parsing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from benchmarks.clusters import snapshot_of
from benchmarks.measure import Figure, seconds
from benchmarks.plan import Plan
from benchmarks.synthetic import Size
from istio_netpol.analysis.listing import connections
from istio_netpol.model.settings import Settings
from istio_netpol.report.connections import json_pieces
from istio_netpol.state.snapshot import Snapshot

RUNS = 3


def figures(plan: Plan) -> Iterator[Figure]:
    """Seconds to index the objects, compute and format the list of 1,000 and of 5,000 workloads."""
    for namespaces, aim in ((200, 1.0), (1000, 20.0)):
        if plan.quick and namespaces > 200:
            return
        size = Size(namespaces, pods=False)
        figure = Figure(f"list, {size.workloads:,} workloads in {namespaces:,} namespaces", "s", at_most=aim)
        for _ in range(RUNS):
            snapshot = snapshot_of(size, plan.seed)
            figure.runs.append(seconds(lambda: _listed(snapshot)))  # noqa: B023
        yield figure


def _listed(snapshot: Snapshot) -> None:
    deque(json_pieces(connections(snapshot, Settings())), maxlen=0)
