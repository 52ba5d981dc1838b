"""What pods need does not hang on the name of their controller, nor what is denied to them, unless somebody
asks for them by that name: so what was found of one Deployment holds for another that is like it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.admission.state import Answers
from tests.flows.clusters import NAMES, cluster

from istio_netpol.admission.cleared import WatchedResolver
from istio_netpol.analysis.impact import review_change
from istio_netpol.flows.currency import class_of
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

MOST = 6
"""Workloads of one cluster that are looked at."""


def controllers(snapshot: Snapshot) -> Iterator[Workload]:
    """One workload of each likeness that has no owner, and whose name is in no label."""
    seen = set()
    for workload in snapshot.every(Workload):
        likeness = class_of(workload, snapshot).likeness
        if workload.owner is None and workload.ref.kind not in ("Job", "CronJob") and likeness not in seen:
            seen.add(likeness)
            yield workload


def named(workload: Workload, name: str) -> Workload:
    return replace(workload, ref=replace(workload.ref, name=name), addresses=())


def is_clear(table: FlowTable, workload: Workload) -> bool:
    """Whether there is nothing to say of a workload that is created, and no host had to be asked for."""
    resolver = WatchedResolver(Answers({}))
    impact = review_change(table, [workload], [], resolver, submitter=workload.namespace, starting=True)
    return impact.is_nothing and not resolver.anything


@pytest.mark.parametrize("name", NAMES)
def test_another_name_gets_the_same_answer(name: str) -> None:
    table = FlowTable.of(Snapshot.of(cluster(name)), Settings()).indexed()
    for workload in list(controllers(table.stored))[:MOST]:
        there = [pods for pods in table.stored.of_type(Workload, workload.namespace) if pods is workload]
        without = table.with_changes([], there)
        own, first, second, third = (named(workload, name) for name in (workload.name, "a-1", "b-2", "c-3"))
        if without.is_new(own):
            assert is_clear(without, own) == is_clear(without, first), workload.ref
        beside_one = without.with_changes([first])
        if is_clear(beside_one, second):
            assert is_clear(beside_one.with_changes([second]), third), workload.ref
