"""What is remembered of pods ends where what came can matter to them, and only there: whatever comes and goes
in a cluster, of every kind, no answer is remembered that would be another one now."""

from __future__ import annotations

from typing import Any

import pytest
import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.admission.state import Answers
from tests.admission.test_names_alone import controllers, named
from tests.flows.clusters import NAMES, cluster
from tests.flows.current import SETTINGS
from tests.flows.test_current import changed
from tests.values import EGRESS, INGRESS, policy

from istio_netpol.admission.cleared import Asked, Cleared, WatchedResolver
from istio_netpol.analysis.impact import review_change
from istio_netpol.flows.currency import class_of
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.policies import NetworkPolicy, PolicyRule
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

SELECTORS = (EVERYTHING, Selector.of({"app": "another"}), Selector.of({"pod-template-hash": "1"}))
MOST = 5
"""Workloads of one cluster that are looked at."""


class Asking:
    """A cluster that changes, and what a replica of the webhook remembers of pods that were to be created."""

    def __init__(self, objects: tuple[Any, ...], settings: Settings) -> None:
        self.table = FlowTable.of(Snapshot.of(objects), settings).indexed()
        self.objects = {(type(value), value.ref.key): value for value in objects}
        self.judged_in: frozenset[str] = frozenset()
        self._cleared = Cleared()

    def put(self, *values: Any) -> None:
        self.objects |= {(type(value), value.ref.key): value for value in values}
        self.table = self.table.with_changes(values)

    def remove(self, *values: Any) -> None:
        for value in values:
            del self.objects[type(value), value.ref.key]
        self.table = self.table.with_changes((), values)

    def ask(self, workload: Workload, laid: tuple[NetworkPolicy, ...] = ()) -> bool:
        """Whether an answer was remembered, with policies laid over the cluster. Fails where it is not the
        answer of now."""
        table = self.table.with_objects(laid) if laid else self.table
        asked = Asked(class_of(workload, table.stored), table.is_new(workload))
        is_remembered = self._cleared.has(asked, table)
        resolver = WatchedResolver(Answers({}))
        impact = review_change(table, [workload], [], resolver, submitter=workload.namespace, starting=True)
        is_clear = impact.is_nothing and not resolver.anything
        assert is_clear or not is_remembered, (workload.ref, impact.findings)
        self.judged_in = impact.judged_in
        if is_clear and not is_remembered:
            self._cleared.add(asked, table, impact.judged_in)
        return is_remembered


def closed(key: str, selector: Selector = EVERYTHING) -> NetworkPolicy:
    return policy(key, selects=selector, types=(INGRESS, EGRESS))


def opened(key: str, selector: Selector = EVERYTHING) -> NetworkPolicy:
    return policy(key, selects=selector, ingress=(PolicyRule(),), egress=(PolicyRule(),))


class ChangingCluster(RuleBasedStateMachine):
    """The objects of one scenario, put and removed one by one, as they are and changed, and policies."""

    @initialize(name=st.sampled_from(NAMES), settings=st.sampled_from(SETTINGS))
    def begin(self, name: str, settings: Settings) -> None:
        self.pool = cluster(name)
        self.asking = Asking(self.pool, settings)
        self.asked = list(controllers(self.asking.table.stored))[:MOST]
        self.asked += [named(workload, "another") for workload in self.asked]
        self.homes = sorted({value.ref.namespace for value in self.pool if value.ref.namespace})
        self.laid: tuple[NetworkPolicy, ...] = ()

    @rule(data=st.data(), anew=st.booleans())
    def put(self, data: st.DataObject, anew: bool) -> None:
        value = data.draw(st.sampled_from(self.pool))
        self.asking.put(changed(value) if anew else value)

    @precondition(lambda self: self.asking.objects)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        values = sorted(self.asking.objects.values(), key=lambda value: (type(value).__name__, value.ref.key))
        self.asking.remove(data.draw(st.sampled_from(values)))

    @rule(data=st.data(), made=st.sampled_from((opened, closed)), selector=st.sampled_from(SELECTORS))
    def store_a_policy(self, data: st.DataObject, made: Any, selector: Selector) -> None:
        self.asking.put(made(f"{data.draw(st.sampled_from(self.homes))}/made", selector))

    @rule(data=st.data(), made=st.sampled_from((opened, closed)), selector=st.sampled_from(SELECTORS))
    def lay_a_policy_over(self, data: st.DataObject, made: Any, selector: Selector) -> None:
        self.laid = (*self.laid[-1:], made(f"{data.draw(st.sampled_from(self.homes))}/laid", selector))

    @rule()
    def end_what_is_laid_over(self) -> None:
        self.laid = ()

    @invariant()
    def remembers_what_holds(self) -> None:
        for workload in self.asked if hasattr(self, "asking") else ():
            self.asking.ask(workload, self.laid)


TestChangingCluster = ChangingCluster.TestCase
TestChangingCluster.settings = limits(max_examples=20, stateful_step_count=12)


@pytest.mark.parametrize("name", NAMES[::6])
def test_a_policy_ends_only_answers_that_it_can_change(name: str) -> None:
    """A deny-all of each namespace, laid over the cluster, stored, and deleted again, ends the answers
    for which policies of that namespace were asked."""
    asking = Asking(cluster(name), Settings())
    for number, workload in enumerate(list(controllers(asking.table.stored))[:MOST]):
        new = named(workload, "another")
        asking.ask(new)
        if not asking.ask(new):
            continue  # there is something to say
        for home in asking.table.snapshot.namespace_names:
            is_asked = home in asking.judged_in
            assert asking.ask(new, (closed(f"{home}/laid"),)) != is_asked, (workload.ref, home)
            asking.put(closed(f"{home}/closed-{number}"))
            assert asking.ask(new) != is_asked, (workload.ref, home)
            asking.remove(closed(f"{home}/closed-{number}"))
            assert asking.ask(new) != is_asked, (workload.ref, home)
