"""Laws of what `generate` prints, for every cluster. The judge is the naive evaluator, never the engine.

Which flows are required is the word of the flow rules; whether a cluster allows them is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import ip_address
from itertools import product
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.analysis import meshes as some
from tests.netpol.naive import NaiveCluster
from tests.values import EGRESS, deployment, namespace, policy

from istio_netpol.analysis.check import check, judge_of
from istio_netpol.analysis.generate import generate
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.encode import encode_spec, to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import AddressPeer, AnyPeer, HostPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import Operator, Requirement, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged
from istio_netpol.remedies.denied_sides import openings_of
from istio_netpol.remedies.names import is_named_after_content
from istio_netpol.remedies.policy_writer import PolicyWriter
from istio_netpol.remedies.required_by import name_of, needers_of
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import OPERATOR

Probe = tuple[Protocol, int]
SETTINGS = Settings()
PROBES = (
    (Protocol.TCP, 81),
    (Protocol.TCP, 8080),
    (Protocol.TCP, 15012),
    (Protocol.TCP, 443),
    (Protocol.UDP, 53),
)
NO_POLICY = frozenset(
    {Issue.CONSENT_MISSING, Issue.JWKS_HOST_REFUSED, Issue.ADDRESS_REFUSED, Issue.JWKS_UNRESOLVABLE}
)
"""What is told of a flow that generate leaves denied on purpose."""


class Answers:
    """A resolver that knows `meshes.HOSTS`."""

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        texts = some.HOSTS.get(host)
        if texts is None:
            return Resolution(host, (), ResolutionStatus.NOT_FOUND, reason=f"{host} does not exist")
        addresses = tuple(ip_address(text) for text in texts.split())
        return Resolution(host, addresses, ResolutionStatus.RESOLVED, 60)


class World:
    """A cluster before and after the generated policies were applied, as the naive evaluator sees it."""

    def __init__(self, objects: list[Any], per_namespace: bool) -> None:
        self.objects = objects
        self.per_namespace = per_namespace
        self.policies = generate(Snapshot.of(objects), SETTINGS, Answers(), per_namespace, proposals=True)
        self.before = NaiveCluster(objects)
        self.after = self.without(())

    def without(self, policies: Iterable[NetworkPolicy]) -> NaiveCluster:
        """The cluster after all generated policies but these were applied."""
        left_out = {policy.key for policy in policies}
        return NaiveCluster(self.objects + [policy for policy in self.policies if policy.key not in left_out])

    @cached_property
    def table(self) -> FlowTable:
        return FlowTable.of(Snapshot.of(self.objects), SETTINGS)

    @property
    def pods(self) -> list[PodsPeer]:
        return [PodsPeer(workload) for workload in self.table.snapshot.every_workload()]

    @property
    def flows(self) -> Iterator[RequiredFlow]:
        """The required flows, to addresses where their hosts have some."""
        for flow in self.table.flows():
            host = flow.destination.host if isinstance(flow.destination, HostPeer) else ""
            addresses = Answers().resolve(host).addresses
            yield replace(flow, destination=AddressPeer(AddressSet.of(*addresses))) if addresses else flow

    def allows(self, cluster: NaiveCluster, flow: RequiredFlow) -> bool:
        """Whether both sides let the flow pass; a stand-in's own side is open by assumption."""
        return all(self.allows_side(cluster, flow, direction) for direction in Direction)

    def allows_side(self, cluster: NaiveCluster, flow: RequiredFlow, direction: Direction) -> bool:
        is_egress = direction is Direction.EGRESS
        subject, peer = (flow.source, flow.destination) if is_egress else (flow.destination, flow.source)
        if isinstance(subject, PodsPeer) and self.table.view.is_stand_in(subject.workload):
            return True
        return cluster.allows(subject, direction, peer, flow.destination, (flow.protocol, flow.port))


def connects(cluster: NaiveCluster, source: PodsPeer, destination: PodsPeer, probe: Probe) -> bool:
    """Whether both sides let a connection between two workloads pass."""
    return cluster.allows(source, Direction.EGRESS, destination, destination, probe) and cluster.allows(
        destination, Direction.INGRESS, source, destination, probe
    )


def connections(world: World) -> Iterator[tuple[PodsPeer, Direction, Peer, Peer, Probe]]:
    """All that a cluster may be asked to allow: each way of each pod, between pods and with addresses
    outside."""
    peers = [*world.pods, *(AddressPeer(AddressSet.of(address)) for address in some.outside())]
    for subject, direction, peer, probe in product(world.pods, Direction, peers, PROBES):
        yield subject, direction, peer, peer if direction is Direction.EGRESS else subject, probe


def meanings(flow: RequiredFlow) -> Iterator[tuple[tuple[str, str], Probe]]:
    """The ends of a required flow and its port; an end that no policy can name is empty."""
    source, destination = flow.source.key, flow.destination.key
    probe = (flow.protocol, flow.port)
    yield (source, destination), probe
    if flow.shared or isinstance(flow.source, AnyPeer):
        yield ("", destination), probe
    if isinstance(flow.destination, AnyPeer):
        yield (source, ""), probe


worlds = st.builds(World, some.meshes(), st.booleans())
distinct_worlds = st.builds(World, some.meshes(distinct=True), st.booleans())


def identity(flow: RequiredFlow) -> tuple[str, ...]:
    """The flow without its destination, which a refused host replaces."""
    return (flow.kind, *flow.object.key, flow.source.key, flow.protocol, str(flow.port))


LABELS_SHARED = World(
    [
        namespace("ns-a", **{"istio-injection": "enabled"}),
        deployment("ns-a/isolated", app="x"),
        deployment("ns-a/open", app="x", tier="y"),
        policy(
            "ns-a/deny", selects=Selector((), (Requirement("tier", Operator.DOES_NOT_EXIST),)), types=[EGRESS]
        ),
    ],
    per_namespace=False,
)
"""The isolated pods have only labels that open pods have too: no policy can name the former alone."""


@given(worlds)
@example(LABELS_SHARED)
def test_generated_policies_isolate_nobody(world: World) -> None:
    """A pod is isolated in a direction after applying them exactly if it was before."""
    for pods in world.pods:
        for direction in Direction:
            before = world.before.isolating(pods, direction)
            assert bool(world.after.isolating(pods, direction)) == bool(before), (str(pods), direction)


@given(worlds)
def test_generated_policies_deny_nothing(world: World) -> None:
    """Every connection that was allowed is allowed still: between pods, and with addresses outside."""
    for asked in connections(world):
        assert not world.before.allows(*asked) or world.after.allows(*asked), asked


@given(worlds)
@example(LABELS_SHARED)
def test_generated_policies_allow_every_required_flow(world: World) -> None:
    """What stays denied is told by `check`, with the reason why no policy may or can open it."""
    snapshot = Snapshot.of([*world.objects, *world.policies])
    findings = check(snapshot, SETTINGS, Answers()).findings
    told = {
        identity(finding.flow): finding
        # Of a denied flow and the reason why it stays denied, the reason counts.
        for finding in sorted(findings, key=lambda finding: finding.rule in NO_POLICY)
        if finding.flow is not None and finding.rule is not Issue.IP_BLOCK_FOR_PODS
    }
    for flow in world.flows:
        if world.allows(world.after, flow):
            continue
        finding = told[identity(flow)]
        assert finding.rule in NO_POLICY or "; no policy can allow its " in finding.message


@given(worlds)
def test_each_generated_policy_opens_a_required_flow(world: World) -> None:
    """No policy is written for nothing: alone, it opens a side that was denied and is needed."""
    assert_each_opens_a_required_flow(world)


def assert_each_opens_a_required_flow(world: World) -> None:
    """Each generated policy, alone, opens a side that was denied and is needed."""
    for generated in world.policies:
        alone = NaiveCluster([*world.objects, generated])
        assert any(
            world.allows_side(alone, flow, direction) and not world.allows_side(world.before, flow, direction)
            for flow in world.flows
            for direction in generated.policy_types
        ), to_yaml([generated])


def needer(flow: RequiredFlow, direction: Direction) -> str:
    """Who needs a side: istiod and DNS their own ingress, for everybody; else who asks for the flow."""
    is_shared = flow.shared and direction is Direction.INGRESS and isinstance(flow.destination, PodsPeer)
    return name_of(flow.destination.workload.ref if is_shared else flow.object)


@given(distinct_worlds)
def test_leaving_out_a_generated_policy_breaks_a_required_flow(world: World) -> None:
    """Where no two workloads share labels, no policy is redundant among those that one object needs."""
    for name in {name for written in world.policies for name in needers_of(written).names}:
        own = [written for written in world.policies if name in needers_of(written).names]
        together = NaiveCluster([*world.objects, *own])
        sides = [
            (flow, direction)
            for flow in world.flows
            for direction in Direction
            if needer(flow, direction) == name and world.allows_side(together, flow, direction)
        ]
        for generated in own:
            rest = NaiveCluster([*world.objects, *(policy for policy in own if policy is not generated)])
            assert not all(world.allows_side(rest, flow, direction) for flow, direction in sides), to_yaml(
                [generated]
            )


@given(distinct_worlds)
def test_generated_policies_open_nothing_else(world: World) -> None:
    """A newly allowed connection between two workloads is required, but for two needs that are nobody's in
    particular: anybody may ask istiod and DNS, and an API server at an unknown address may be anywhere."""
    needs = {need for flow in world.flows for need in meanings(flow)}
    for probe in {(flow.protocol, flow.port) for flow in world.flows}:
        for source in world.pods:
            for destination in world.pods:
                ends = {(source.key, destination.key), (source.key, ""), ("", destination.key)}
                if needs.isdisjoint((end, probe) for end in ends):
                    was = connects(world.before, source, destination, probe)
                    assert was or not connects(world.after, source, destination, probe)


def unjoined(world: World) -> list[NetworkPolicy]:
    """A policy for each denied side by itself."""
    judge = judge_of(world.table, Answers())
    found = []
    for flow in world.table.flows():
        judged = (outcome for outcome in judge.resolved(flow) if isinstance(outcome, Judged))
        for opening in (side for outcome in judged for side in openings_of(outcome)):
            if OPERATOR.may_open(opening.flow, opening.direction):
                writer = PolicyWriter(world.table.snapshot, judge.gate.blocks, world.per_namespace)
                writer.add(opening)
                found += writer.policies()
    return found


@given(worlds)
def test_joined_policies_open_what_single_ones_would(world: World) -> None:
    """For each pod, direction, peer and port, joining makes no difference."""
    single = NaiveCluster([*world.objects, *unjoined(world)])
    for asked in connections(world):
        assert single.allows(*asked) == world.after.allows(*asked), asked


@given(worlds)
def test_names_differ_exactly_where_contents_differ(world: World) -> None:
    """Within a namespace, which is where names count."""
    contents = {policy.key: (policy.namespace, str(encode_spec(policy))) for policy in world.policies}
    assert len(contents) == len(world.policies) == len(set(contents.values()))
    assert all(is_named_after_content(policy) for policy in world.policies)


@given(worlds)
def test_generate_is_idempotent(world: World) -> None:
    """After applying what it printed, there is nothing to print."""
    applied = Snapshot.of([*world.objects, *world.policies])
    assert generate(applied, SETTINGS, Answers(), world.per_namespace, proposals=True) == ()


@given(worlds, st.randoms(use_true_random=False))
def test_the_order_of_input_is_irrelevant_to_the_output(world: World, random: Any) -> None:
    """The same objects in another order give the same bytes."""
    shuffled = list(world.objects)
    random.shuffle(shuffled)
    again = generate(Snapshot.of(shuffled), SETTINGS, Answers(), world.per_namespace, proposals=True)
    assert to_yaml(again) == to_yaml(world.policies)


@given(worlds)
def test_generated_policies_are_valid(world: World) -> None:
    """The printed policies are read without a problem, and mean what was meant."""
    found = load(read_documents(to_yaml(world.policies).encode(), "generated.yaml"))
    assert found.problems == ()
    assert [decoded.ref.key for decoded in found.objects] == [policy.ref.key for policy in world.policies]
    for read, meant in zip(found.objects, world.policies, strict=True):
        assert (read.pod_selector, read.policy_types) == (meant.pod_selector, meant.policy_types)
        assert (read.ingress, read.egress) == (meant.ingress, meant.egress)
        assert (read.labels, read.annotations) == (meant.labels, meant.annotations)
