"""Whom the `from` and `to` of a rule admit."""

import pytest
from tests.values import TCP, deployment, host_daemon, namespace, namespaces, pods, policy, rule

from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector, namespace_named
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

DB = deployment("data/db")
CART = deployment("shop/cart", app="cart", tier="web")
OTHER = deployment("data/other", app="cart")


def admits(*peers, source=CART, objects=()):
    """Whether an ingress rule of data/db with these peers admits the source."""
    door = policy("data/door", selects={"app": "db"}, ingress=[rule(*peers)])
    snapshot = Snapshot.of([namespace("shop", team="a"), namespace("data", team="b"), door, *objects])
    return judge(snapshot, PodsPeer(source), PodsPeer(DB), TCP, 5432).allowed


def test_pod_selector_alone_means_the_policys_own_namespace():
    """Pods of another namespace with the same labels are not meant."""
    assert admits(pods(app="cart"), source=OTHER)
    assert not admits(pods(app="cart"), source=CART)


def test_an_empty_pod_selector_alone_means_all_pods_of_the_own_namespace():
    """`podSelector: {}` stops at the namespace's border."""
    assert admits(pods(), source=OTHER)
    assert not admits(pods(), source=CART)


def test_namespace_selector_alone_means_all_pods_of_those_namespaces():
    """Every pod of a namespace with the labels is admitted, no pod of another."""
    assert admits(namespaces(team="a"), source=CART)
    assert not admits(namespaces(team="a"), source=OTHER)


def test_an_empty_namespace_selector_means_all_namespaces():
    """`namespaceSelector: {}` admits every pod of the cluster."""
    assert admits(namespaces(), source=CART)
    assert admits(namespaces(), source=OTHER)


@pytest.mark.parametrize(
    ("pod_labels", "team", "admitted"),
    [({"app": "cart"}, "a", True), ({"app": "cart"}, "b", False), ({"app": "db"}, "a", False)],
)
def test_both_selectors_of_one_element_must_match(pod_labels, team, admitted):
    """Within one element it is podSelector AND namespaceSelector."""
    peer = PolicyPeer(Selector.of(pod_labels), Selector.of({"team": team}))
    assert admits(peer) is admitted


def test_elements_are_alternatives():
    """Between elements it is OR: a stray dash admits far more than meant."""
    assert admits(pods(app="nobody"), namespaces(team="a"))


def test_a_namespace_is_known_by_name_even_if_it_was_not_read():
    """The API server labels each namespace with its name, so selecting by name needs no Namespace object."""
    stranger = deployment("elsewhere/x")
    by_name = PolicyPeer(namespace_selector=namespace_named("elsewhere"))
    assert admits(by_name, source=stranger)
    assert not admits(by_name, source=CART)


@pytest.mark.parametrize(
    ("requirement", "admitted"),
    [
        (Requirement("app", Operator.IN, frozenset({"cart", "x"})), True),
        (Requirement("app", Operator.IN, frozenset({"x"})), False),
        (Requirement("absent", Operator.IN, frozenset({"x"})), False),
        (Requirement("app", Operator.NOT_IN, frozenset({"cart"})), False),
        (Requirement("app", Operator.NOT_IN, frozenset({"x"})), True),
        (Requirement("absent", Operator.NOT_IN, frozenset({"x"})), True),
        (Requirement("app", Operator.EXISTS), True),
        (Requirement("absent", Operator.EXISTS), False),
        (Requirement("app", Operator.DOES_NOT_EXIST), False),
        (Requirement("absent", Operator.DOES_NOT_EXIST), True),
    ],
)
def test_match_expressions(requirement, admitted):
    """NotIn and DoesNotExist hold where the key is absent, In and Exists don't."""
    assert admits(PolicyPeer(Selector((), (requirement,)), EVERYTHING)) is admitted


def test_labels_and_expressions_of_a_selector_must_both_hold():
    """matchLabels AND matchExpressions."""
    excluded = Requirement("tier", Operator.DOES_NOT_EXIST)
    assert not admits(PolicyPeer(Selector((("app", "cart"),), (excluded,)), EVERYTHING))


@pytest.mark.parametrize(
    "peer", [pods(), namespaces(), pods(app="agent"), PolicyPeer(EVERYTHING, EVERYTHING)]
)
def test_host_network_pods_match_no_selector(peer):
    """A pod in its node's network is seen as the node, however it is labelled and wherever it runs."""
    assert not admits(peer, source=host_daemon("data/agent"))


def test_a_rule_without_peers_admits_host_network_pods():
    """No `from` at all is no restriction by source."""
    assert admits(source=host_daemon("data/agent"))


def test_an_element_without_any_selector_names_nobody():
    """The API server refuses such an element; it must not become a hole."""
    assert not admits(PolicyPeer(), source=OTHER)
