"""Laws of what `generate --assume-deny-all` prints, for every cluster: applied one by one to the cluster of
today, in the order in which it is printed, no policy cuts what another one allows. The judge is the naive
evaluator."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.analysis import meshes as some
from tests.analysis.test_generate_laws import SETTINGS, Answers, World
from tests.istio import builders as mesh
from tests.netpol.naive import NaiveCluster
from tests.values import deployment, namespace

from istio_netpol.analysis.generate import generate, generate_ahead
from istio_netpol.analysis.readiness.deny_all import assume_deny_all
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.services import ServicePort
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.ahead import Ahead
from istio_netpol.state.snapshot import Snapshot


class Hypothesis:
    """A cluster, and what to apply to it before a deny-all everywhere."""

    def __init__(self, objects: list[Any], per_namespace: bool) -> None:
        self.objects = objects
        self.per_namespace = per_namespace
        self.today = Snapshot.of(objects)
        self.denied = assume_deny_all(self.today)
        self.world = World(objects, per_namespace)

    @cached_property
    def ahead(self) -> Ahead:
        """What is applied first."""
        return generate_ahead(self.denied, self.today, SETTINGS, Answers(), self.per_namespace)

    @cached_property
    def real(self) -> tuple[NetworkPolicy, ...]:
        """What is missing once the deny-all is there."""
        return generate(self.denied, SETTINGS, Answers(), self.per_namespace)

    @property
    def deny_alls(self) -> list[NetworkPolicy]:
        known = {decoded.key for decoded in self.objects if isinstance(decoded, NetworkPolicy)}
        found = self.denied.every(NetworkPolicy)
        return [policy for policy in found if policy.key not in known]


hypotheses = st.builds(Hypothesis, some.meshes(), st.booleans())


def shop(*workloads: Workload) -> list[Any]:
    ledger = deployment("ns-a/ledger", app="ledger")
    return [
        namespace("ns-a", **{"istio-injection": "enabled"}),
        *workloads,
        ledger,
        mesh.service("ns-a/ledger", ServicePort(80, 8080), app="ledger"),
    ]


def caller(name: str, **labels: str) -> Workload:
    return Workload(deployment(f"ns-a/{name}").ref, labels, calls="ledger:80")


ALONE = [
    namespace("istio-system"),
    mesh.istiod(),
    mesh.istiod_service(),
    mesh.endpoints("default/kubernetes", "192.168.0.1", port=6443),
]
"""What is for all pods of the namespace selects the same as what is for its only ones."""

MORE_LABELS = shop(
    caller("a", app="x"), caller("b", app="x", tier="y"), caller("c", app="x", tier="y", v="z")
)
"""Each one's labels are among those of the next: what names the first selects all three."""


@settings(max_examples=50)
@given(hypotheses)
@example(Hypothesis(MORE_LABELS, per_namespace=False))
@example(Hypothesis(MORE_LABELS, per_namespace=True))
@example(Hypothesis(ALONE, per_namespace=True))
def test_no_policy_cuts_on_the_way_what_is_allowed_at_the_end(some_state: Hypothesis) -> None:
    """After each of them, a required flow that is allowed today and under the deny-all is allowed."""
    world, ahead = some_state.world, some_state.ahead
    before = NaiveCluster(some_state.objects)
    end = NaiveCluster([*some_state.objects, *ahead.policies, *some_state.deny_alls])
    flows = [flow for flow in world.flows if world.allows(before, flow) and world.allows(end, flow)]
    for count in range(len(ahead.policies) + 1):
        applied = NaiveCluster([*some_state.objects, *ahead.policies[:count]])
        for flow in flows:
            assert world.allows(applied, flow), (count, flow.object, flow.destination.key, flow.port)


@settings(max_examples=50)
@given(hypotheses)
@example(Hypothesis(MORE_LABELS, per_namespace=True))
def test_what_is_applied_ahead_opens_what_is_missing_afterwards(some_state: Hypothesis) -> None:
    """Under the deny-all, exactly the required flows are allowed that the policies of a real one allow."""
    world = some_state.world
    ends = [
        NaiveCluster([*some_state.objects, *policies, *some_state.deny_alls])
        for policies in (some_state.ahead.policies, some_state.real)
    ]
    for flow in world.flows:
        assert world.allows(ends[0], flow) == world.allows(ends[1], flow)


@settings(max_examples=50)
@given(hypotheses)
def test_only_what_isolates_is_joined(some_state: Hypothesis) -> None:
    """A policy whose pods are all isolated today is the very one that `generate` prints for them, and what
    is named as isolating does isolate somebody."""
    ahead, before = some_state.ahead, NaiveCluster(some_state.objects)
    real = {workload.key for workload in some_state.real}
    pods = [PodsPeer(workload) for workload in some_state.today.every_workload() if not workload.host_network]
    for policy in ahead.policies:
        alone = NaiveCluster([*some_state.objects, policy])
        isolates = any(
            alone.isolating(peer, direction) and not before.isolating(peer, direction)
            for peer in pods
            for direction in Direction
        )
        assert isolates == (policy.key in ahead.isolating)
        assert isolates or policy.key in real


def test_policies_for_more_pods_than_their_own_come_last() -> None:
    """The narrower one is there when the wider one isolates its pods, and the reader is told which those
    are."""
    ahead = Hypothesis(MORE_LABELS, per_namespace=False).ahead
    assert [dict(policy.pod_selector.match_labels) for policy in ahead.policies[-2:]] == [
        {"app": "x", "tier": "y"},
        {"app": "x"},
    ]
    assert ahead.last == ahead.policies[-2:]


def test_a_policy_for_all_pods_comes_after_those_of_callers() -> None:
    """Those who only need what all need have no policy of their own; callers have all of theirs in one."""
    ahead = Hypothesis(shop(caller("a", app="x")), per_namespace=True).ahead
    egress = [
        policy
        for policy in ahead.policies
        if Direction.EGRESS in policy.policy_types and policy.namespace == "ns-a"
    ]
    assert [dict(policy.pod_selector.match_labels) for policy in egress] == [{"app": "x"}, {}]
    assert {port.port for rule in egress[0].egress for port in rule.ports} == {53, 8080, 15012}
    assert ahead.last == (egress[1],)
