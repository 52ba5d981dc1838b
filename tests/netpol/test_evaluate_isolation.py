"""Which policies isolate which side of a connection."""

from tests.values import EGRESS, INGRESS, TCP, addresses, deny_all, deployment, host_daemon, policy, rule

from istio_netpol.model.flows import AnyPeer, PodsPeer
from istio_netpol.model.verdicts import OPEN, RuleRef, SideVerdict, Verdict
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

CART, DB = deployment("shop/cart"), deployment("data/db")


def verdict(*objects, source=CART, destination=DB, open_namespaces=frozenset()):
    peers = PodsPeer(source), PodsPeer(destination)
    return judge(Snapshot.of([CART, DB, *objects]), *peers, TCP, 5432, open_namespaces=open_namespaces)


def test_a_cluster_without_policies_is_open():
    """Nothing isolates, so both sides are open."""
    assert verdict() == Verdict(OPEN, OPEN)


def test_a_policy_with_both_types_and_no_rules_isolates_both_ways():
    """A deny-all cuts what its pods call and what calls them."""
    deny = deny_all("shop")
    assert verdict(deny) == Verdict(SideVerdict((deny,)), OPEN)
    assert verdict(deny, source=DB, destination=CART) == Verdict(OPEN, SideVerdict((deny,)))


def test_a_policy_isolates_only_the_directions_of_its_types():
    """A policy of type Ingress leaves egress open, and the other way round."""
    assert verdict(policy("shop/in", ingress=[])).egress == OPEN
    assert verdict(policy("data/out", egress=[])).ingress == OPEN


def test_ingress_rules_do_not_matter_without_the_type():
    """Rules for a direction that is not in policyTypes neither isolate nor allow."""
    deny = deny_all("data")
    unused = policy("data/unused", types=[EGRESS], ingress=[rule()])
    assert verdict(deny, unused).ingress == SideVerdict((deny,))


def test_a_policy_isolates_only_pods_that_it_selects():
    """A podSelector that does not match leaves the pod open."""
    assert verdict(policy("shop/other", selects={"app": "other"}, egress=[])).egress == OPEN


def test_a_policy_isolates_only_its_own_namespace():
    """A deny-all of another namespace means nothing here."""
    assert verdict(deny_all("elsewhere")) == Verdict(OPEN, OPEN)


def test_one_empty_rule_allows_everything():
    """`ingress: [{}]` isolates and admits everybody on every port."""
    open_door = policy("data/open", ingress=[rule()])
    assert verdict(open_door).ingress == SideVerdict((open_door,), (RuleRef(open_door, INGRESS, 0),))


def test_policies_add_up():
    """What one policy allows is allowed, whatever others of the namespace leave out."""
    deny, door = deny_all("data"), policy("data/open", ingress=[rule()])
    assert verdict(deny, door).ingress.allowed
    assert not verdict(deny).ingress.allowed


def test_a_verdict_names_all_policies_that_isolate():
    """`isolated_by` holds every policy of the direction that selects the pod, sorted by name."""
    first, second = policy("shop/b", egress=[rule()]), policy("shop/a", egress=[])
    unrelated = policy("shop/c", ingress=[])
    assert verdict(first, unrelated, second).egress.isolated_by == (second, first)


def test_a_verdict_names_all_rules_that_allow():
    """`allowed_by` holds each rule that admits the connection, with its index, and no other."""
    both = policy("shop/both", egress=[rule(), rule(), rule(*[])])
    named = verdict(both).egress.allowed_by
    assert named == tuple(RuleRef(both, EGRESS, index) for index in range(3))
    assert [str(ref) for ref in named] == [
        "shop/both egress[0]", "shop/both egress[1]", "shop/both egress[2]"
    ]  # fmt: skip


def test_a_connection_needs_both_sides():
    """Open egress does not help where ingress is denied."""
    deny = deny_all("data")
    assert not verdict(deny).allowed
    assert verdict(deny).egress == OPEN


def test_host_network_pods_are_never_isolated():
    """No policy selects a pod in its node's network, as source or as destination."""
    agent = host_daemon("shop/agent")
    assert verdict(deny_all("shop"), source=agent).egress == OPEN
    assert verdict(deny_all("shop"), destination=agent).ingress == OPEN


def test_addresses_are_open_on_their_side():
    """Nobody outside the cluster is isolated, whatever the policies."""
    snapshot = Snapshot.of([CART, deny_all("shop")])
    assert judge(snapshot, addresses("8.8.8.8"), PodsPeer(CART), TCP, 80).egress == OPEN
    assert judge(snapshot, PodsPeer(CART), AnyPeer(), TCP, 80).ingress == OPEN


def test_policies_of_open_namespaces_are_left_out():
    """A side in an open namespace counts as open, the other side is judged as ever."""
    deny, other = deny_all("data"), deny_all("shop")
    judged = verdict(deny, other, open_namespaces=frozenset({"data"}))
    assert judged == Verdict(SideVerdict((other,)), OPEN)


def test_replicas_of_a_workload_are_subject_to_policy():
    """A pod reaches itself, but a workload's connection to itself goes from one pod to another."""
    assert not verdict(deny_all("shop"), source=CART, destination=CART).allowed


def test_a_workload_to_come_is_judged_by_the_policies_of_its_namespace():
    """The workload under review need not be in the snapshot."""
    snapshot = Snapshot.of([deny_all("shop")])
    assert not judge(snapshot, PodsPeer(CART), PodsPeer(DB), TCP, 5432).egress.allowed
