"""Laws of what is said about policies. The judge is the naive evaluator, never the engine."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests import strategies as some_policies
from tests.analysis import meshes as some
from tests.analysis.test_generate_laws import PROBES, SETTINGS, Answers, World, connections
from tests.netpol.naive import NaiveCluster
from tests.values import EGRESS, INGRESS, deployment, namespace, policy

from istio_netpol.analysis.check import check
from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.policy_lint.containment import opens_within
from istio_netpol.state.snapshot import Snapshot

ABOUT_POLICIES = frozenset(
    {
        Issue.BROAD_POLICY,
        Issue.NEEDLESS_POLICY,
        Issue.POLICY_SELECTS_NOTHING,
        Issue.IN_POD_PORT,
        Issue.IP_BLOCK_FOR_PODS,
    }
)


def findings(objects: list[Any]) -> list[Finding]:
    """What is said about the policies of a cluster."""
    found = check(Snapshot.of(objects), SETTINGS, Answers()).findings
    return [
        finding
        for finding in found
        if finding.rule in ABOUT_POLICIES and finding.object.kind == "NetworkPolicy"
    ]


def with_policies(
    world: World, put: dict[str, NetworkPolicy], remove: frozenset[str] = frozenset()
) -> NaiveCluster:
    """The cluster with policies in the place of those of the same name, and without others."""
    kept = [
        put.get(decoded.key, decoded) if isinstance(decoded, NetworkPolicy) else decoded
        for decoded in world.objects
        if not isinstance(decoded, NetworkPolicy) or decoded.key not in remove
    ]
    return NaiveCluster(kept)


def lost(world: World, after: NaiveCluster) -> list[object]:
    """The sides of required flows that were allowed before, also where the other side denies them."""
    return [
        (flow.key, direction)
        for flow in world.flows
        for direction in Direction
        if world.allows_side(world.before, flow, direction) and not world.allows_side(after, flow, direction)
    ]


def isolation(cluster: NaiveCluster, pods: list[PodsPeer]) -> list[bool]:
    return [bool(cluster.isolating(pod, direction)) for pod in pods for direction in Direction]


ANY = PolicyRule()
ALLOW_ALL = World(
    [
        namespace("ns-a", **{"istio-injection": "enabled"}),
        deployment("ns-a/w0", app="x"),
        policy("ns-a/deny", types=[EGRESS, INGRESS]),
        policy("ns-a/all", types=[EGRESS, INGRESS], egress=[ANY], ingress=[ANY]),
        policy("ns-a/all-again", types=[EGRESS, INGRESS], egress=[ANY], ingress=[ANY]),
    ],
    per_namespace=False,
)
_WIDE = st.sampled_from(
    (
        ANY,
        PolicyRule((PolicyPeer(namespace_selector=EVERYTHING),)),
        PolicyRule((PolicyPeer(namespace_selector=EVERYTHING),), (PolicyPort(port=8080),)),
        PolicyRule((PolicyPeer(ip_block=IpBlock("0.0.0.0/1")), PolicyPeer(ip_block=IpBlock("128.0.0.0/1")))),
        PolicyRule((PolicyPeer(pod_selector=EVERYTHING),)),
        PolicyRule((), (PolicyPort(port=80, end_port=65535),)),
        PolicyRule((PolicyPeer(pod_selector=Selector.of({"app": "x"})),), (PolicyPort(port="http"),)),
    )
)
_wide_policies = st.lists(
    st.builds(
        policy,
        st.sampled_from([f"{name}/wide-{number}" for name in some.APPS for number in range(2)]),
        selects=st.sampled_from((EVERYTHING, EVERYTHING, Selector.of({"app": "x"}))),
        types=st.just((EGRESS, INGRESS)),
        egress=st.lists(_WIDE, max_size=2),
        ingress=st.lists(_WIDE, max_size=2),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda policy: policy.key,
)
worlds = st.builds(
    lambda objects, wide: World([*objects, *wide], per_namespace=False), some.meshes(), _wide_policies
)
"""Clusters with policies of the kinds that are found."""


@given(worlds)
@example(ALLOW_ALL)
def test_a_narrower_policy_keeps_what_is_required_and_opens_nothing(world: World) -> None:
    """Each by itself: the same pods are isolated, all required flows that passed pass, and no connection is
    allowed that was not."""
    for finding in findings(world.objects):
        if not finding.remedy:
            continue
        (narrower,) = finding.remedy
        assert finding.narrows
        after = with_policies(world, {narrower.key: narrower})
        assert isolation(after, world.pods) == isolation(world.before, world.pods)
        assert lost(world, after) == []
        for asked in connections(world):
            assert world.before.allows(*asked) or not after.allows(*asked), asked


@given(worlds)
@example(ALLOW_ALL)
def test_all_narrower_policies_together_keep_what_is_required(world: World) -> None:
    """Each was judged by itself; a flow that passes two of them passes both."""
    narrower = {policy.key: policy for finding in findings(world.objects) for policy in finding.remedy}
    after = with_policies(world, narrower)
    assert isolation(after, world.pods) == isolation(world.before, world.pods)
    assert lost(world, after) == []


@given(worlds)
@example(ALLOW_ALL)
def test_needless_policies_change_nothing(world: World) -> None:
    """Without all of them, every pod is isolated as before, and every verdict is the same."""
    needless = {
        finding.object.name: finding
        for finding in findings(world.objects)
        if finding.rule is Issue.NEEDLESS_POLICY
    }
    keys = frozenset(f"{finding.object.namespace}/{finding.object.name}" for finding in needless.values())
    after = with_policies(world, {}, keys)
    assert isolation(after, world.pods) == isolation(world.before, world.pods)
    for asked in connections(world):
        assert world.before.allows(*asked) == after.allows(*asked), asked


@given(worlds)
def test_what_generate_writes_is_no_finding(world: World) -> None:
    """Neither too wide, nor needless, nor without effect."""
    written = {policy.key for policy in world.policies}
    said = findings([*world.objects, *world.policies])
    assert [
        finding.message for finding in said if f"{finding.object.namespace}/{finding.object.name}" in written
    ] == []


@given(
    some_policies.policies(),
    some_policies.policies(),
    st.lists(some_policies.workloads(), min_size=1, max_size=3),
)
def test_a_policy_within_another_opens_no_more(
    narrow: NetworkPolicy, wide: NetworkPolicy, workloads: list[Any]
) -> None:
    """Whatever pods there are."""
    if narrow.namespace != wide.namespace or not opens_within(narrow, wide):
        return
    pods = [PodsPeer(workload) for workload in {pods.peer_name: pods for pods in workloads}.values()]
    left, right = NaiveCluster([narrow, *workloads]), NaiveCluster([wide, *workloads])
    for subject, direction, peer, probe in product(pods, Direction, pods, PROBES):
        called = peer if direction is Direction.EGRESS else subject
        if left.isolating(subject, direction):
            asked = (subject, direction, peer, called, probe)
            assert right.allows(*asked) or not left.allows(*asked), asked
