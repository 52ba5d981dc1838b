"""Laws that hold for every cluster with policies of the Admin and Baseline tiers."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests import strategies as some
from tests.netpol import agreement
from tests.netpol.agreement import PROBES

from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction
from istio_netpol.model.tiers import Action, Tier, TierPolicy
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot


@given(some.questions(tiered=True))
def test_judge_agrees_with_the_naive_evaluator(question):
    """Both sides of a verdict are what the API reference says, read literally."""
    agreement.judge_agrees(question)


@given(some.clusters(tiered=True))
def test_connections_between_workloads_agree_with_the_naive_evaluator(objects):
    """A pair of workloads is listed with exactly the ports that both sides allow."""
    agreement.connections_between_workloads_agree(objects)


@given(some.clusters(tiered=True))
def test_connections_with_addresses_agree_with_the_naive_evaluator(objects):
    """Every address is in a range with exactly the ports that the workload's side allows."""
    agreement.connections_with_addresses_agree(objects)


@given(some.clusters(tiered=True), st.sampled_from(PROBES))
def test_connections_agree_with_judge(objects, probe):
    """A row holds a port exactly where the verdict on that connection is allowed."""
    agreement.connections_agree_with_judge(objects, probe)


@given(some.questions(tiered=True), st.randoms(use_true_random=False))
def test_the_order_of_input_is_irrelevant(question, random):
    """The same objects in another order give the same verdict and name the same rules."""
    objects, *connection = question
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert judge(Snapshot.of(shuffled), *connection) == judge(Snapshot.of(objects), *connection)


@given(some.questions(tiered=True), some.policies(names=("another",)))
def test_no_network_policy_overrides_the_admin_tier(question, policy):
    """What a rule of the Admin tier denies, one more NetworkPolicy does not allow."""
    objects, *connection = question
    before = judge(Snapshot.of(objects), *connection)
    after = judge(Snapshot.of([*objects, policy]), *connection)
    for direction in Direction:
        denying = before.side(direction).denied_by
        if denying and all(ref.policy.tier is Tier.ADMIN for ref in denying):
            assert not after.side(direction).allowed


@given(some.questions(tiered=True))
def test_baseline_is_silent_where_a_network_policy_isolates(question):
    """Without the Baseline tier the verdict on an isolated side is the same."""
    objects, *connection = question
    rest = [
        resource
        for resource in objects
        if not (isinstance(resource, TierPolicy) and resource.tier is Tier.BASELINE)
    ]
    before, after = (judge(Snapshot.of(resources), *connection) for resources in (objects, rest))
    for direction in Direction:
        if before.side(direction).isolated_by:
            assert before.side(direction) == after.side(direction)


@given(some.questions(tiered=True), st.sampled_from(Tier))
def test_passing_everything_first_is_as_if_the_tier_were_not_there(question, tier):
    """A policy of the highest precedence that passes all to the next tier silences all others of its own."""
    objects, *connection = question
    others = [
        replace(resource, priority=resource.priority + 1) if isinstance(resource, TierPolicy) else resource
        for resource in objects
    ]
    rest = [
        resource for resource in objects if not (isinstance(resource, TierPolicy) and resource.tier is tier)
    ]
    rule = some.tier_rule_for_all(Action.PASS)
    passing = TierPolicy(some.tier_ref("passing"), tier, 0, EVERYTHING, EVERYTHING, (rule,), (rule,))
    before = judge(Snapshot.of([*others, passing]), *connection)
    after = judge(Snapshot.of(rest), *connection)
    for direction in Direction:
        assert before.side(direction).allowed == after.side(direction).allowed
