"""Laws of the plan of `readiness`, for every cluster. The judge is the naive evaluator."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.analysis import meshes as some
from tests.analysis.test_ahead_laws import ALONE, MORE_LABELS
from tests.analysis.test_generate_laws import SETTINGS, Answers, World
from tests.netpol.naive import NaiveCluster

from istio_netpol.analysis.readiness.assessment import ReadinessReport, readiness
from istio_netpol.analysis.readiness.rollout import RolloutStep
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import Direction
from istio_netpol.state.snapshot import Snapshot

LEFT = dict.fromkeys(KUBERNETES_NAMESPACES, "Kubernetes' own")


class Planned:
    """A cluster, and the plan for it."""

    def __init__(self, objects: list[Any], per_namespace: bool) -> None:
        self.objects = objects
        self.per_namespace = per_namespace
        self.world = World(objects, per_namespace)

    @cached_property
    def plan(self) -> ReadinessReport:
        return readiness(
            Snapshot.of(self.objects), SETTINGS, Answers(), LEFT, per_namespace=self.per_namespace
        )

    def denied_after(self, count: int) -> set[RequiredFlow]:
        """The required flows that are denied once so many steps are applied."""
        steps = self.plan.steps[:count]
        replaced = {step.policy.ref.key for step in steps}
        left = [decoded for decoded in self.objects if decoded.ref.key not in replaced]
        cluster = NaiveCluster([*left, *(step.policy for step in steps)])
        return {flow for flow in self.flows if not self.world.allows(cluster, flow)}

    @cached_property
    def flows(self) -> list[RequiredFlow]:
        return list(self.world.flows)


def meaning(flow: RequiredFlow) -> tuple[str, str, int]:
    """What is equal for a flow before and after its host is resolved."""
    return (flow.source.key, str(flow.protocol), flow.port)


def cut_by(step: RolloutStep) -> set[tuple[str, str, int]]:
    return {meaning(flow) for flow in step.cuts}


plans = st.builds(Planned, some.meshes(), st.booleans())


@settings(max_examples=40)
@given(plans)
@example(Planned(MORE_LABELS, per_namespace=True))
@example(Planned(ALONE, per_namespace=False))
def test_a_step_denies_what_it_says_and_nothing_else(planned: Planned) -> None:
    """What is allowed and needed stays so after every step that does not say otherwise."""
    before = planned.denied_after(0)
    for count, step in enumerate(planned.plan.steps, 1):
        after = planned.denied_after(count)
        assert {meaning(flow) for flow in after - before} <= cut_by(step)
        before = after


@settings(max_examples=40)
@given(plans)
def test_what_is_denied_at_the_end_is_what_the_plan_says(planned: Planned) -> None:
    """Nothing is left out, and nothing is told of that is allowed."""
    denied = planned.denied_after(len(planned.plan.steps))
    assert {meaning(flow) for flow in denied} == {meaning(cut.flow) for cut in planned.plan.cuts}


@settings(max_examples=40)
@given(plans)
def test_every_namespace_denies_at_the_end(planned: Planned) -> None:
    """But those that are left alone, in which nothing that is open becomes isolated."""
    today = Snapshot.of(planned.objects)
    end = today.with_changes(put=[step.policy for step in planned.plan.steps])
    for name in today.namespace_names:
        for direction in Direction:
            if name in LEFT:
                assert end.isolates_all(name, direction) == today.isolates_all(name, direction)
            else:
                assert end.isolates_all(name, direction)


@settings(max_examples=40)
@given(plans)
def test_steps_that_cost_nothing_come_first(planned: Planned) -> None:
    """A person may apply the first part without reading the rest; allows come before denials in it."""
    waits = [step.waits for step in planned.plan.steps]
    assert waits == sorted(waits)
    first = [step for step in planned.plan.steps if not step.waits]
    assert all(step.is_safe for step in first)
    assert [step.number for step in planned.plan.steps] == list(range(1, len(waits) + 1))
    assert planned.plan.is_safe <= (not any(waits))
