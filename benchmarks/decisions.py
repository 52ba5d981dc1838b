"""One admission decision in process: from the bytes of a review to the bytes of its answer."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from benchmarks.clusters import snapshot_of
from benchmarks.events import figures_of
from benchmarks.measure import Figure, percentile, seconds
from benchmarks.plan import Plan
from benchmarks.reviews import KINDS, mix
from benchmarks.settings import settings_for
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import StoreResult
from istio_netpol.server.reviewer import Reviewer

EACH = 500
MIXED = 5000
RUNS = 3
P50, P99 = 0.5, 2.0


class ReadOnlyStore:
    """Refuses every policy: decisions are measured, not a disk."""

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        return tuple(StoreResult(policy, False, "this cluster is read-only") for policy in policies)


def figures(plan: Plan) -> Iterator[Figure]:
    """The table, then p50 and p99 of the mix and of each kind of request; then what one change costs."""
    snapshot = snapshot_of(plan.size, plan.seed)
    settings = settings_for(plan.size)
    built = Figure("table of required flows, whole cluster", "s")
    for _ in range(RUNS):
        built.runs.append(seconds(lambda: FlowTable.of(snapshot, settings)))
    yield built
    reviewer = Reviewer(ReadOnlyStore(), Offline())
    table = FlowTable.of(snapshot, settings)
    taken = Figure("its indexes for decisions", "s", runs=[seconds(lambda: reviewer.take(table.indexed()))])
    yield taken
    gc.collect()
    gc.freeze()
    namespaces = plan.size.namespaces
    first = next(mix(namespaces))
    yield Figure("first decision", "ms", runs=_milliseconds(reviewer, [first]))
    yield from _percentiles("mix", reviewer, list(islice(mix(namespaces), plan.times(MIXED))), P50, P99)
    for kind in KINDS:
        bodies = [kind.review(number, namespaces) for number in range(plan.times(EACH))]
        yield from _percentiles(kind.name, reviewer, bodies)
    yield _one_policy_more(table, plan)
    yield from figures_of(table, plan)


def _percentiles(
    name: str, reviewer: Reviewer, bodies: list[bytes], p50: float | None = None, p99: float | None = None
) -> Iterator[Figure]:
    runs = [_milliseconds(reviewer, bodies) for _ in range(RUNS)]
    middle = [percentile(run, 0.5) for run in runs]
    slow = [percentile(run, 0.99) for run in runs]
    yield Figure(f"decision, {name}: p50", "ms", middle, at_most=p50)
    yield Figure(f"decision, {name}: p99", "ms", slow, at_most=p99)


def _milliseconds(reviewer: Reviewer, bodies: Iterable[bytes]) -> list[float]:
    found = []
    for body in bodies:
        start = time.thread_time()
        answer = reviewer.review(body, mutating=False)
        found.append((time.thread_time() - start) * 1000)
        if answer.status != 200:
            raise SystemExit(f"a review got {answer.status}: {answer.reason}")
    return found


def _one_policy_more(table: FlowTable, plan: Plan) -> Figure:
    """What the webhook does after it has written a policy: the table with that one more."""
    figure = Figure("table with one policy changed", "ms")
    policies = list(islice(table.snapshot.every(NetworkPolicy), plan.times(MIXED)))
    for policy in policies:
        figure.runs.append(seconds(lambda: table.with_objects([policy])) * 1000)  # noqa: B023
    return figure
