"""What an event of a watched cluster costs the table of required flows, and whether a large namespace makes
it dearer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from benchmarks.measure import Figure
from benchmarks.plan import Plan
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

EVENTS = 300
LARGE = 10_000
KNOWN_CLASS, ANY = 0.1, 1.0
"""Milliseconds that an event may take of a class of pods that is known or like one that is, and any event."""

Event = Callable[[Workload, int], tuple[Sequence[Workload], Sequence[Workload]]]
"""What is stored and deleted, made from a pod that is there."""

EVENTS_OF_PODS: dict[str, tuple[Event, float]] = {
    "an event that says what is stored": (lambda pod, _: ([replace(pod)], ()), KNOWN_CLASS),
    "one pod more of a known class": (lambda pod, number: ([_another(pod, number)], ()), KNOWN_CLASS),
    "one pod more with a new address": (lambda pod, number: ([_elsewhere(pod, number)], ()), ANY),
    "one pod less": (lambda pod, _: ((), [pod]), ANY),
    "one bare pod more": (lambda pod, number: ([_bare(pod, number)], ()), ANY),
    "one preview more, like the one before": (lambda _, number: ([_preview(number)], ()), KNOWN_CLASS),
}


def figures_of(table: FlowTable, plan: Plan) -> Iterator[Figure]:
    """Milliseconds of processor time an event, in the whole cluster and in a namespace of many pods."""
    pods = _pods(table)
    yield from _figures("", table, pods, plan)
    large, crowd = _crowded(table, pods[0])
    yield from _figures(f", in a namespace of {LARGE:,} pods", large, crowd, plan)


def _figures(where: str, table: FlowTable, pods: Sequence[Workload], plan: Plan) -> Iterator[Figure]:
    every = max(1, len(pods) // plan.times(EVENTS))
    for name, (event, most) in EVENTS_OF_PODS.items():
        figure = Figure(f"table after {name}{where}", "ms", at_most=most)
        now = table
        for number, pod in enumerate(pods[::every]):
            put, remove = event(pod, number)
            started = time.thread_time()
            now = now.with_changes(put, remove)
            figure.runs.append((time.thread_time() - started) * 1000)
        yield figure


def _pods(table: FlowTable) -> list[Workload]:
    """The pods of the cluster that a controller owns."""
    stored = table.stored
    members = (pod for name in stored.namespace_names for pod in stored.of_type(Workload, name))
    return [pod for pod in members if pod.ref.kind == "Pod" and pod.owner is not None]


def _crowded(table: FlowTable, pod: Workload) -> tuple[FlowTable, list[Workload]]:
    """The table of a cluster in which a controller has many pods, and these."""
    crowd = [_another(pod, number) for number in range(LARGE)]
    return table.with_changes(crowd), crowd


def _another(pod: Workload, number: int) -> Workload:
    """A pod like another one that has no address yet."""
    return replace(pod, ref=replace(pod.ref, name=f"{pod.name}-{number}"), addresses=())


def _elsewhere(pod: Workload, number: int) -> Workload:
    address = pod.addresses[:1] or pod.node_addresses[:1]
    return replace(_another(pod, number), addresses=tuple(found + number + 1 for found in address))


def _bare(pod: Workload, number: int) -> Workload:
    return replace(_another(pod, number), owner=None)


def _preview(number: int) -> Workload:
    """A Deployment of many that only their names tell apart."""
    return Workload(ObjectRef("apps/v1", "Deployment", "previews", f"web-{number}"), {"app": "web"})
