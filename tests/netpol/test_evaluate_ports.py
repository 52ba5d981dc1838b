"""Which ports a rule opens."""

import pytest
from tests.values import (
    SCTP,
    TCP,
    UDP,
    addresses,
    block,
    deny_all,
    deployment,
    host_daemon,
    policy,
    port,
    rule,
)

from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.workloads import ContainerPort
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

CART = deployment("shop/cart", ContainerPort(1, "http"))
DB = deployment("data/db", ContainerPort(8080, "http"), ContainerPort(5353, "dns", UDP))
CALLED = PodsPeer(DB)


def admits(*ports, to=5432, over=TCP, destination=DB):
    """Whether an ingress rule of the destination with these ports admits a connection."""
    door = policy(f"{destination.namespace}/door", ingress=[rule(*ports)])
    return judge(Snapshot.of([door]), PodsPeer(CART), PodsPeer(destination), over, to).allowed


def calls(*ports, to=5432, over=TCP, destination=CALLED):
    """Whether an egress rule of shop/cart with these ports lets it call the destination."""
    door = policy("shop/door", egress=[rule(*ports)])
    return judge(Snapshot.of([door]), PodsPeer(CART), destination, over, to).allowed


@pytest.mark.parametrize("protocol", [TCP, UDP, SCTP])
def test_a_rule_without_ports_opens_all_of_every_protocol(protocol):
    """No `ports` is no restriction by port."""
    assert admits(to=1, over=protocol)
    assert admits(to=65535, over=protocol)


def test_a_number_opens_that_port_of_its_protocol():
    """The neighbours stay closed, and so do the other protocols."""
    assert admits(port(5432))
    assert not admits(port(5432), to=5431)
    assert not admits(port(5432), to=5433)
    assert not admits(port(5432), over=UDP)


def test_ports_are_alternatives():
    """One matching entry is enough."""
    assert admits(port(80), port(5432, UDP), port(5432))


def test_a_protocol_without_port_opens_all_of_that_protocol():
    """`protocol: SCTP` alone means every SCTP port, and nothing of TCP."""
    assert admits(port(None, SCTP), to=9, over=SCTP)
    assert not admits(port(None, SCTP), to=9, over=TCP)


@pytest.mark.parametrize(
    ("called", "opened"), [(5431, False), (5432, True), (5440, True), (5450, True), (5451, False)]
)
def test_end_port_is_included(called, opened):
    """From `port` to `endPort`, both inclusive."""
    assert admits(port(5432, end=5450), to=called) is opened


def test_a_port_name_is_the_called_pods_for_ingress():
    """The isolated pod's own container ports say what the name means, not the caller's."""
    assert admits(port("http"), to=8080)
    assert not admits(port("http"), to=1)


def test_a_port_name_is_the_called_pods_for_egress():
    """The peer's container ports say what the name means, not those of the isolated caller."""
    assert calls(port("http"), to=8080)
    assert not calls(port("http"), to=1)


def test_a_port_name_means_another_number_on_another_pod():
    """Each destination resolves the name for itself."""
    other = deployment("data/other", ContainerPort(9090, "http"))
    assert calls(port("http"), to=9090, destination=PodsPeer(other))
    assert not calls(port("http"), to=8080, destination=PodsPeer(other))


def test_a_port_name_that_containers_repeat_opens_each_number():
    """Two containers may give the same name to different numbers."""
    twice = deployment("data/twice", ContainerPort(8080, "http"), ContainerPort(8081, "http"))
    assert [admits(port("http"), to=number, destination=twice) for number in (8080, 8081, 8082)] == [
        True,
        True,
        False,
    ]


def test_a_port_name_counts_only_for_its_protocol():
    """A UDP container port is not what a TCP rule names."""
    assert admits(port("dns", UDP), to=5353, over=UDP)
    assert not admits(port("dns", TCP), to=5353, over=TCP)


def test_an_unknown_port_name_opens_nothing():
    """A name that no container declares matches no port."""
    assert not admits(port("metrics"), to=8080)


def test_a_port_name_never_matches_an_address():
    """Nobody knows what a name means outside the cluster."""
    door = policy("shop/door", egress=[rule(block("0.0.0.0/0"), port("http"))])
    assert not judge(Snapshot.of([door]), PodsPeer(CART), addresses("8.8.8.8"), TCP, 8080).allowed
    assert not calls(port("http"), to=8080, destination=addresses("8.8.8.8"))


def test_a_port_name_never_matches_host_network_pods():
    """They are addresses of their nodes to a policy."""
    agent = host_daemon("data/agent", ContainerPort(8080, "http"))
    assert not calls(port("http"), to=8080, destination=PodsPeer(agent))


def test_an_ingress_port_name_works_for_callers_at_addresses():
    """The called pod resolves it, whoever calls."""
    door = policy("data/door", ingress=[rule(block("0.0.0.0/0"), port("http"))])
    assert judge(Snapshot.of([door]), addresses("8.8.8.8"), PodsPeer(DB), TCP, 8080).allowed


def test_peers_and_ports_of_different_rules_do_not_mix():
    """A rule must match in both; two halves of two rules are no match."""
    halves = policy("shop/halves", egress=[rule(block("8.8.8.8/32"), port(53)), rule(port(443))])
    snapshot = Snapshot.of([deny_all("shop"), halves])
    assert judge(snapshot, PodsPeer(CART), addresses("8.8.8.8"), TCP, 53).allowed
    assert not judge(snapshot, PodsPeer(CART), addresses("8.8.4.4"), TCP, 53).allowed
    assert judge(snapshot, PodsPeer(CART), addresses("8.8.4.4"), TCP, 443).allowed
