"""Whom the list of connections shows for each way of naming a peer: by labels, by address, by port name."""

import pytest
from tests.netpol.tables import table
from tests.values import (
    EGRESS,
    INGRESS,
    block,
    deployment,
    host_daemon,
    namespace,
    namespaces,
    pods,
    policy,
    port,
    rule,
)

from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.model.workloads import ContainerPort

CART = "shop/Deployment/cart"


def called_by_cart(*objects):
    """The ports of the workloads that shop/cart may call, by `namespace/name`."""
    return {
        destination.replace("/Deployment/", "/").replace("/DaemonSet/", "/"): str(opened)
        for (source, destination), opened in table([deployment("shop/cart"), *objects]).items()
        if source == CART and "/" in destination
    }


def calls(*rules):
    return policy("shop/out", selects={"app": "cart"}, egress=rules)


TIERS = [
    deployment("data/a", kind="bare"),
    deployment("data/b", tier="db", zone="x"),
    deployment("data/c", tier="web", zone="x"),
    deployment("data/d", tier="db", zone="y"),
    deployment("data/e", tier="log"),
    host_daemon("data/f", tier="db", zone="x"),
]


def expression(operator, key, *values):
    return Selector(match_expressions=(Requirement(key, operator, values),))


SELECTED = {
    "every pod": (EVERYTHING, "abcde"),
    "a label that several have": (Selector.of({"tier": "db"}), "bd"),
    "two labels": (Selector.of({"tier": "db", "zone": "x"}), "b"),
    "a value that nobody has": (Selector.of({"tier": "none"}), ""),
    "two labels, of which nobody has the first": (Selector.of({"a": "none", "zone": "x"}), ""),
    "In": (expression(Operator.IN, "tier", "db", "web", "none"), "bcd"),
    "NotIn": (expression(Operator.NOT_IN, "tier", "db", "none"), "ace"),
    "Exists": (expression(Operator.EXISTS, "tier"), "bcde"),
    "Exists of an unknown key": (expression(Operator.EXISTS, "none"), ""),
    "DoesNotExist": (expression(Operator.DOES_NOT_EXIST, "tier"), "a"),
    "DoesNotExist of an unknown key": (expression(Operator.DOES_NOT_EXIST, "none"), "abcde"),
    "a label and an expression": (
        Selector((("zone", "x"),), (Requirement("tier", Operator.NOT_IN, ("web",)),)),
        "b",
    ),
}


@pytest.mark.parametrize("case", SELECTED)
def test_a_pod_selector_lists_the_pods_that_it_means(case):
    """Those whose labels match, all of them, and no hostNetwork pods."""
    selector, expected = SELECTED[case]
    out = calls(rule(PolicyPeer(selector, EVERYTHING), port(80)))
    assert called_by_cart(*TIERS, out) == {f"data/{name}": "TCP 80" for name in expected}


@pytest.mark.parametrize("case", SELECTED)
def test_a_namespace_selector_lists_the_pods_of_the_namespaces_that_it_means(case):
    """The operators mean to namespaces what they mean to pods."""
    selector, expected = SELECTED[case]
    objects = [deployment(f"{name}/db") for name in "abcde"]
    objects += [
        namespace("a", kind="bare"),
        namespace("b", tier="db", zone="x"),
        namespace("c", tier="web", zone="x"),
        namespace("d", tier="db", zone="y"),
        namespace("e", tier="log"),
    ]
    out = calls(rule(PolicyPeer(namespace_selector=selector), port(80)))
    assert called_by_cart(*objects, out) == {f"{name}/db": "TCP 80" for name in expected}


def test_a_pod_selector_alone_lists_pods_of_the_namespace_of_the_policy():
    """Pods with the same labels elsewhere are others."""
    objects = [deployment("data/db"), deployment("shop/db"), deployment("shop/other")]
    assert called_by_cart(*objects, calls(rule(pods(app="db"), port(80)))) == {"shop/db": "TCP 80"}


def test_all_pods_of_all_namespaces_are_no_host_network_pods():
    """A hostNetwork pod has the address of its node, which no selector names, wherever it is in the list."""
    objects = [host_daemon("a/first"), deployment("data/db"), host_daemon("z/last")]
    assert called_by_cart(*objects, calls(rule(namespaces()))) == {"data/db": "all"}


def test_a_peer_that_names_nothing_admits_nobody():
    """An empty entry of `from` or `to` is not an absent one, which would admit everybody."""
    assert called_by_cart(deployment("a/first"), deployment("shop/db"), calls(rule(PolicyPeer()))) == {}


def test_a_pair_whose_sides_share_no_port_is_not_listed():
    """The caller may call 80 and the other admits 443: nothing can flow, so there is no row."""
    door = policy("data/in", ingress=[rule(namespaces(), port(443))])
    assert called_by_cart(deployment("data/db"), door, calls(rule(namespaces(), port(80)))) == {}


def test_workloads_that_get_the_same_ports_in_two_ways_are_all_listed():
    """One of them has its ports from one rule, another has them from two."""
    objects = [deployment("data/a", one="x"), deployment("data/b", one="x", two="x")]
    objects += [deployment("data/c", both="x"), deployment("data/d", both="x", two="x")]
    out = calls(
        rule(PolicyPeer(Selector.of({"one": "x"}), EVERYTHING), port(1)),
        rule(PolicyPeer(Selector.of({"both": "x"}), EVERYTHING), port(1), port(2)),
        rule(PolicyPeer(Selector.of({"two": "x"}), EVERYTHING), port(2)),
    )
    assert called_by_cart(*objects, out) == {
        "data/a": "TCP 1", "data/b": "TCP 1-2", "data/c": "TCP 1-2", "data/d": "TCP 1-2"
    }  # fmt: skip


def test_destinations_with_two_sets_of_ports_are_sorted_by_name():
    """The order does not follow the ports."""
    numbers = {"data/a": 1, "data/b": 2, "data/c": 1}
    objects = [deployment(name, ContainerPort(number, "http")) for name, number in numbers.items()]
    out = calls(rule(namespaces(kind="data"), port("http")))
    listed = called_by_cart(namespace("data", kind="data"), *objects, out)
    assert list(listed.items()) == [("data/a", "TCP 1"), ("data/b", "TCP 2"), ("data/c", "TCP 1")]


def test_a_port_name_opens_its_number_on_each_pod_that_a_selector_names():
    """Several pods with the same number all get it, and one without the name gets nothing."""
    objects = [deployment(f"data/{name}", ContainerPort(8080, "http")) for name in "ab"]
    objects += [deployment("data/c", ContainerPort(9090, "http")), deployment("data/d")]
    assert called_by_cart(*objects, calls(rule(namespaces(), port("http")))) == {
        "data/a": "TCP 8080", "data/b": "TCP 8080", "data/c": "TCP 9090"
    }  # fmt: skip


def test_a_port_name_of_an_ingress_rule_is_open_to_the_pods_that_a_selector_names():
    """It is the number that the called pod gives the name."""
    door = policy("data/in", ingress=[rule(namespaces(), port("http"))])
    assert called_by_cart(deployment("data/db", ContainerPort(8080, "http")), door) == {"data/db": "TCP 8080"}


def test_a_port_name_opens_its_number_on_a_pod_that_a_block_admits():
    """An address has no port names, but the pod behind it has."""
    pod = deployment("data/db", ContainerPort(8080, "http"), at=["10.0.0.1"])
    assert called_by_cart(pod, calls(rule(block("10.0.0.0/8"), port("http")))) == {"data/db": "TCP 8080"}


@pytest.mark.parametrize("at", ["10.0.0.1", "fd00::1", "0.0.0.0", "::", "255.255.255.255"])
def test_a_block_of_one_address_admits_the_pod_that_has_it(at):
    """And not a pod beside it."""
    whole = block(f"{at}/{128 if ':' in at else 32}")
    beside = [deployment("a/first", at=["10.0.0.2"]), deployment("z/last", at=["fd00::2"])]
    assert called_by_cart(*beside, deployment("data/db", at=[at]), calls(rule(whole, port(80)))) == {
        "data/db": "TCP 80"
    }


def test_a_block_admits_every_pod_in_it():
    """Pods beside each other, pods that share the address of a node, and pods of a second block."""
    objects = [deployment(f"data/{name}", at=[f"10.0.0.{name}"]) for name in (1, 2, 3)]
    objects += [host_daemon(f"data/{name}", at=["10.0.0.9"]) for name in (4, 5)]
    objects += [deployment("data/6", at=["10.0.2.0"])]
    out = calls(rule(block("10.0.0.0/24"), block("10.0.2.0/24"), port(80)))
    assert called_by_cart(*objects, out) == {f"data/{name}": "TCP 80" for name in range(1, 7)}


def test_a_pod_at_the_edges_of_blocks_is_admitted_at_both_of_its_addresses():
    """The last address of one block and the first of another; a pod in none of them stays out."""
    objects = [deployment("a/first", at=["10.0.1.1"])]
    objects += [deployment("data/edges", at=["10.0.0.255", "10.0.2.0"])]
    objects += [deployment("data/families", at=["10.0.0.255", "8000::"])]
    out = calls(rule(block("10.0.0.0/24"), block("10.0.2.0/24"), block("8000::/1"), port(80)))
    assert called_by_cart(*objects, out) == {"data/edges": "TCP 80", "data/families": "TCP 80"}


def test_pods_at_unknown_addresses_are_admitted_by_all_of_a_family():
    """All of them, beside pods at known addresses, and without a pod that has the other family only."""
    objects = [
        deployment("a/v6", at=["fd00::1"]),
        deployment("data/known", at=["10.0.0.1"]),
        deployment("data/new"),
        deployment("data/newer"),
    ]
    assert called_by_cart(*objects, calls(rule(block("0.0.0.0/0"), port(80)))) == {
        "data/known": "TCP 80", "data/new": "TCP 80", "data/newer": "TCP 80"
    }  # fmt: skip


def test_pods_at_unknown_addresses_get_the_ports_that_two_halves_share():
    """The halves differ, so the ports of either alone are not promised; IPv6 pods get neither."""
    out = calls(rule(block("0.0.0.0/1"), port(1), port(2)), rule(block("128.0.0.0/1"), port(2), port(3)))
    objects = [deployment("a/v6", at=["fd00::1"]), deployment("data/new")]
    assert called_by_cart(*objects, out) == {"data/new": "TCP 2"}


def test_pods_at_unknown_addresses_get_no_more_for_a_single_address():
    """What is open at the first address of a family alone takes nothing from what is open at all."""
    out = calls(rule(block("0.0.0.0/0"), port(2)), rule(block("0.0.0.0/32"), port(1)))
    assert called_by_cart(deployment("data/new"), out) == {"data/new": "TCP 2"}


def test_pods_at_unknown_addresses_are_admitted_by_all_of_ipv6_beside_some_of_ipv4():
    """A block for a part of the other family changes nothing."""
    out = calls(rule(block("10.0.0.0/8"), port(1)), rule(block("::/0"), port(2)))
    assert called_by_cart(deployment("data/new"), out) == {"data/new": "TCP 2"}


@pytest.mark.parametrize("missing", ["1.0.0.0", "10.0.0.1", "255.255.255.254"])
def test_pods_at_unknown_addresses_are_not_admitted_by_all_but_one_address(missing):
    """It may be the pod's."""
    out = calls(rule(block("0.0.0.0/0", f"{missing}/32")))
    assert called_by_cart(deployment("data/new"), out) == {}


@pytest.mark.parametrize("missing", ["0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255"])
def test_pods_at_unknown_addresses_are_admitted_by_all_but_what_holds_no_pods(missing):
    """It can't be the pod's."""
    out = calls(rule(block("0.0.0.0/0", f"{missing}/32")))
    assert called_by_cart(deployment("data/new"), out) == {"data/new": "all"}


def test_the_first_ipv6_address_is_a_range():
    """A block of this one address has a row like any other."""
    door = policy("shop/in", types=[INGRESS])
    out = policy("shop/out", types=[EGRESS], egress=[rule(block("::/128"), port(80))])
    listed = table([deployment("shop/cart"), door, out])
    assert {pair: str(opened) for pair, opened in listed.items()} == {(CART, "::-::"): "TCP 80"}
