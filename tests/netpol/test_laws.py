"""Laws that hold for every cluster."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests import strategies as some
from tests.netpol import agreement
from tests.netpol.agreement import PROBES
from tests.netpol.naive import NaiveCluster
from tests.netpol.tables import parse_range

from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.connectivity import connections
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot


@given(some.questions())
def test_judge_agrees_with_the_naive_evaluator(question):
    """Both sides of a verdict are what the API reference says, read literally, and name who isolates."""
    agreement.judge_agrees(question)
    objects, source, destination, protocol, port = question
    naive = NaiveCluster(objects)
    verdict = judge(Snapshot.of(objects), source, destination, protocol, port)
    for side, direction, subject in (
        (verdict.egress, Direction.EGRESS, source),
        (verdict.ingress, Direction.INGRESS, destination),
    ):
        assert [policy.key for policy in side.isolated_by] == naive.isolating(subject, direction)


@given(some.clusters())
def test_connections_between_workloads_agree_with_the_naive_evaluator(objects):
    """A pair of workloads is listed with exactly the ports that both sides allow."""
    agreement.connections_between_workloads_agree(objects)


@given(some.clusters())
def test_connections_with_addresses_agree_with_the_naive_evaluator(objects):
    """Every address is in a range with exactly the ports that the workload's side allows."""
    agreement.connections_with_addresses_agree(objects)


@given(some.clusters(), st.sampled_from(PROBES))
def test_connections_agree_with_judge(objects, probe):
    """A row holds a port exactly where the verdict on that connection is allowed."""
    agreement.connections_agree_with_judge(objects, probe)


@given(some.clusters())
def test_ranges_of_a_workload_are_disjoint_and_maximal(objects):
    """Ranges of one workload and direction neither overlap, nor touch where their ports are equal."""
    rows = list(connections(Snapshot.of(objects)))
    for workload in (resource.peer_name for resource in objects if isinstance(resource, Workload)):
        called = [(parse_range(row[1]), row[2]) for row in rows if row[0] == workload and "/" not in row[1]]
        calling = [(parse_range(row[0]), row[2]) for row in rows if row[1] == workload and "/" not in row[0]]
        for ranges in (called, calling):
            for (left, left_ports), (right, right_ports) in pairwise(ranges):
                assert not left & right
                assert left_ports != right_ports or len(list((left | right).ranges())) == 2


@given(some.clusters(), st.randoms(use_true_random=False))
def test_connections_do_not_depend_on_the_order_of_input(objects, random):
    """The same objects in another order give the same rows in the same order."""
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert list(connections(Snapshot.of(shuffled))) == list(connections(Snapshot.of(objects)))


@given(some.questions(), st.randoms(use_true_random=False))
def test_the_order_of_policies_is_irrelevant(question, random):
    """The same policies in another order give the same verdict, the same policies and the same rules."""
    objects, *connection = question
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert judge(Snapshot.of(shuffled), *connection) == judge(Snapshot.of(objects), *connection)


@given(some.questions(), some.policy_rules, some.directions, st.data())
def test_adding_a_rule_never_denies(question, rule, direction, data):
    """With policyTypes as they are, one more rule keeps everything allowed that was."""
    objects, *connection = question
    policies = [resource for resource in objects if isinstance(resource, NetworkPolicy)]
    if not policies:
        return
    policy = data.draw(st.sampled_from(policies))
    field = direction.lower()
    longer = replace(policy, **{field: (*policy.rules(direction), rule)})
    before = judge(Snapshot.of(objects), *connection)
    after = judge(Snapshot.of([*objects, longer]), *connection)
    assert after.egress.allowed >= before.egress.allowed
    assert after.ingress.allowed >= before.ingress.allowed


@given(some.questions(), some.rule_lists)
def test_rules_of_a_direction_outside_policy_types_mean_nothing(question, rules):
    """A policy for egress alone may have any ingress rules, and one for ingress alone any egress rules."""
    objects, *connection = question
    changed = [
        replace(resource, **{unused.lower(): rules for unused in set(Direction) - resource.policy_types})
        if isinstance(resource, NetworkPolicy)
        else resource
        for resource in objects
    ]
    before = judge(Snapshot.of(objects), *connection)
    after = judge(Snapshot.of(changed), *connection)
    assert (after.egress.allowed, after.ingress.allowed) == (before.egress.allowed, before.ingress.allowed)


@given(some.questions(), some.policies(names=("another",)))
def test_a_policy_for_an_isolated_direction_never_denies(question, policy):
    """Where something isolates already, one more policy can only allow more."""
    objects, *connection = question
    before = judge(Snapshot.of(objects), *connection)
    after = judge(Snapshot.of([*objects, policy]), *connection)
    for direction in Direction:
        if before.side(direction).isolated_by:
            assert after.side(direction).allowed >= before.side(direction).allowed


@given(some.questions(), st.data())
def test_removing_a_policy_allows_nothing_new_while_another_isolates(question, data):
    """Where something isolates still, one policy fewer can only allow less."""
    objects, *connection = question
    policies = [resource for resource in objects if isinstance(resource, NetworkPolicy)]
    if not policies:
        return
    removed = data.draw(st.sampled_from(policies))
    before = judge(Snapshot.of(objects), *connection)
    after = judge(Snapshot.of(resource for resource in objects if resource is not removed), *connection)
    for direction in Direction:
        if after.side(direction).isolated_by:
            assert after.side(direction).allowed <= before.side(direction).allowed


@given(some.questions())
def test_the_rules_that_a_verdict_names_suffice(question):
    """With every other rule gone, the sides that were allowed by rules are allowed by the same ones."""
    objects, *connection = question
    before = judge(Snapshot.of(objects), *connection)
    for direction in Direction:
        named = {(ref.policy.key, ref.index) for ref in before.side(direction).allowed_by}
        if not named:
            continue
        reduced = [
            replace(
                resource,
                **{
                    direction.lower(): tuple(
                        rule
                        for index, rule in enumerate(resource.rules(direction))
                        if (resource.key, index) in named
                    )
                },
            )
            if isinstance(resource, NetworkPolicy)
            else resource
            for resource in objects
        ]
        after = judge(Snapshot.of(reduced), *connection).side(direction)
        assert len(after.allowed_by) == len(named)


@given(some.questions(), st.frozensets(st.sampled_from(some.NAMESPACES)))
def test_open_namespaces_count_as_without_policies(question, namespaces):
    """Leaving namespaces' policies out of account is the same as deleting them."""
    objects, *connection = question
    without = [
        resource
        for resource in objects
        if not (isinstance(resource, NetworkPolicy) and resource.namespace in namespaces)
    ]
    judged = judge(Snapshot.of(objects), *connection, open_namespaces=namespaces)
    assert judged == judge(Snapshot.of(without), *connection)
