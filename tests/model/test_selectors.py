"""Label selectors: the ones not seen through policies, and the index that answers them."""

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.netpol import naive
from tests.values import deployment, host_daemon

from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.policies import PolicyPeer, PolicyRule
from istio_netpol.state.snapshot import Snapshot


@given(some.selectors, some.labels)
def test_a_selector_matches_as_the_api_reference_says(selector, labels):
    """Against the second reading of the same reference."""
    assert selector.matches(labels) == naive.selects(selector, labels)


@given(st.lists(some.selectors, min_size=17, max_size=60), some.labels)
def test_many_requirements_are_all_asked(selectors, labels):
    """By the keys that labels have, to the same end."""
    expressions = tuple(requirement for selector in selectors for requirement in selector.match_expressions)
    together = Selector((), expressions)
    assert together.matches(labels) == naive.selects(together, labels)


@given(st.lists(some.selectors, min_size=17, max_size=40), some.labels, some.labels)
def test_what_many_peers_name_is_among_those_that_may(selectors, own, homes):
    """A rule leaves out only peers that name no pods with such labels."""
    turned = reversed(selectors)
    rule = PolicyRule(tuple(PolicyPeer(pods, home) for pods, home in zip(selectors, turned, strict=True)))
    naming = [
        peer
        for peer in rule.selectors
        if naive.selects(peer.pod_selector, own) and naive.selects(peer.namespace_selector, homes)
    ]
    assert set(naming) <= set(rule.naming(own, lambda: homes))


@given(some.selectors, st.lists(some.workloads(), max_size=6, unique_by=lambda workload: workload.ref))
def test_the_index_selects_what_the_selector_matches(selector, workloads):
    """By namespace and anywhere, in order of kind and name."""
    snapshot = Snapshot.of(workloads)
    for name in some.NAMESPACES:
        assert [workload.peer_name for workload in snapshot.select(name, selector)] == sorted(
            workload.peer_name
            for workload in workloads
            if workload.namespace == name and naive.selects(selector, workload.labels)
        )
    assert [workload.peer_name for workload in snapshot.select_anywhere(selector)] == sorted(
        workload.peer_name for workload in workloads if naive.selects(selector, workload.labels)
    )


def test_host_network_pods_are_selected_by_label():
    """Unlike a policy's, a plain selector does not care about the network."""
    snapshot = Snapshot.of([host_daemon("shop/agent", app="x"), deployment("shop/cart", app="x")])
    assert [workload.name for workload in snapshot.select("shop", Selector.of({"app": "x"}))] == [
        "agent",
        "cart",
    ]


def test_everything_is_the_selector_without_terms():
    """It matches pods with labels and pods without."""
    assert EVERYTHING.is_everything
    assert EVERYTHING.matches({})
    assert not namespace_named("shop").is_everything


def test_selectors_of_equal_labels_are_equal():
    """The order of labels does not matter."""
    assert Selector.of({"a": "1", "b": "2"}) == Selector.of({"b": "2", "a": "1"})
