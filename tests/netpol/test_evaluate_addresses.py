"""Which addresses the ipBlocks of rules admit, and pods by their addresses."""

import pytest
from tests.values import EGRESS, TCP, addresses, block, deployment, host_daemon, pods, policy, port, rule

from istio_netpol.model.flows import AnyPeer, HostPeer, PodsPeer
from istio_netpol.model.verdicts import RuleRef
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

CART = deployment("shop/cart")


def calls(destination, *rules):
    """The egress side of shop/cart under a policy of these rules."""
    peer = destination if not hasattr(destination, "labels") else PodsPeer(destination)
    door = policy("shop/door", egress=rules)
    return judge(Snapshot.of([door]), PodsPeer(CART), peer, TCP, 443).egress


def indexes(side):
    assert all(ref.direction is EGRESS for ref in side.allowed_by)
    return [ref.index for ref in side.allowed_by]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("9.255.255.255", False), ("10.0.0.0", True), ("10.255.255.255", True), ("11.0.0.0", False)],
)
def test_a_cidr_admits_its_addresses(address, allowed):
    """From the network address to the broadcast address."""
    assert calls(addresses(address), rule(block("10.0.0.0/8"))).allowed is allowed


def test_exceptions_are_taken_out():
    """`except` ranges are not part of the block."""
    wide = rule(block("10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"))
    assert calls(addresses("10.3.0.1"), wide).allowed
    assert not calls(addresses("10.1.0.1"), wide).allowed
    assert not calls(addresses("10.2.255.255"), wide).allowed


def test_an_exception_of_one_block_does_not_restrict_another():
    """Blocks are alternatives, so what one leaves out another may admit."""
    both = rule(block("10.0.0.0/8", "10.1.0.0/16"), block("10.1.2.0/24"))
    assert calls(addresses("10.1.2.3"), both).allowed


def test_families_are_apart():
    """0.0.0.0/0 is no IPv6 address, and ::/0 no IPv4 address."""
    assert not calls(addresses("2001:db8::1"), rule(block("0.0.0.0/0"))).allowed
    assert not calls(addresses("8.8.8.8"), rule(block("::/0"))).allowed
    assert calls(addresses("2001:db8::1"), rule(block("2001:db8::/32"))).allowed


def test_all_addresses_of_a_peer_must_be_admitted():
    """A host with two addresses is reachable only if both are."""
    assert not calls(addresses("1.1.1.1", "1.0.0.1"), rule(block("1.1.1.1/32"))).allowed


def test_rules_share_the_addresses_of_a_peer():
    """Two rules that admit one address each admit the peer, and both are named."""
    side = calls(
        addresses("1.1.1.1", "1.0.0.1"),
        rule(block("9.9.9.9/32")),
        rule(block("1.1.1.1/32")),
        rule(block("1.0.0.1/32"), port(443)),
    )
    assert side.allowed
    assert indexes(side) == [1, 2]


def test_rules_for_another_port_do_not_share():
    """The addresses have to be admitted on the same port."""
    side = calls(
        addresses("1.1.1.1", "1.0.0.1"), rule(block("1.1.1.1/32")), rule(block("1.0.0.1/32"), port(80))
    )
    assert not side.allowed
    assert side.allowed_by == ()


def test_a_rule_that_admits_all_is_named_alone():
    """A rule that only admits a part is not needed and not named."""
    side = calls(addresses("1.1.1.1", "1.0.0.1"), rule(block("1.1.1.1/32")), rule(block("1.0.0.0/7")))
    assert indexes(side) == [1]


def test_rules_without_peers_are_named_before_blocks():
    """A rule that admits everybody comes first, then blocks that suffice by themselves."""
    side = calls(addresses("1.1.1.1"), rule(block("1.1.1.0/24")), rule(), rule(block("1.2.0.0/16")))
    assert indexes(side) == [1, 0]


def test_selectors_never_match_addresses():
    """podSelector and namespaceSelector mean pods only."""
    assert not calls(addresses("10.0.0.1"), rule(pods())).allowed


def test_anybody_is_admitted_by_a_rule_without_peers():
    """Clients that no policy can name need a rule that names nobody."""
    assert indexes(calls(AnyPeer(), rule())) == [0]


def test_anybody_is_admitted_by_any_block():
    """An administrator may narrow who the clients are."""
    assert indexes(calls(AnyPeer(), rule(pods()), rule(block("10.0.0.0/8")))) == [1]


def test_pods_whom_nobody_can_name_are_admitted_with_any_pods():
    """Clients in the cluster may be those that a rule names."""
    assert indexes(calls(AnyPeer("clients", in_cluster=True), rule(pods()))) == [0]


def test_anybody_is_not_admitted_by_a_block_without_addresses():
    """A block whose exceptions take everything out admits nobody."""
    halves = block("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9")
    assert not calls(AnyPeer(), rule(halves)).allowed


def test_an_unresolved_host_is_like_anybody():
    """Nobody knows where it is."""
    assert calls(HostPeer("example.com"), rule(block("10.0.0.0/8"))).allowed
    assert not calls(HostPeer("example.com"), rule(pods())).allowed
    assert not calls(HostPeer("example.com"), rule(block("10.0.0.0/8"), port(80))).allowed


def test_a_block_admits_pods_by_their_address_and_says_so():
    """Network plugins differ on it, so the verdict is marked."""
    side = calls(deployment("data/db", at=["10.0.0.5"]), rule(block("10.0.0.0/8")))
    assert side.allowed
    assert side.by_ip_block


def test_a_verdict_is_not_marked_where_a_selector_allows_too():
    """Reliance on ipBlock is reported only where nothing else allows."""
    side = calls(deployment("shop/db", at=["10.0.0.5"]), rule(block("10.0.0.0/8")), rule(pods(app="db")))
    assert indexes(side) == [1, 0]
    assert not side.by_ip_block


def test_a_verdict_is_not_marked_where_blocks_do_not_suffice():
    """A block beside a rule that allows is no reason for a mark, nor is one that denies."""
    outside = deployment("shop/db", at=["11.0.0.5"])
    assert indexes(calls(outside, rule(block("10.0.0.0/8")), rule(pods()))) == [1]
    assert not calls(outside, rule(block("10.0.0.0/8"))).by_ip_block


def test_blocks_for_addresses_are_not_marked():
    """That is what ipBlock is for."""
    assert not calls(addresses("10.0.0.5"), rule(block("10.0.0.0/8"))).by_ip_block


def test_all_addresses_of_the_pods_must_be_admitted():
    """A block admits a workload only if it admits each replica."""
    replicas = deployment("data/db", at=["10.0.0.5", "10.0.1.5"])
    assert not calls(replicas, rule(block("10.0.0.0/24"))).allowed
    assert calls(replicas, rule(block("10.0.0.0/23"))).allowed


def test_both_families_of_dual_stack_pods_must_be_admitted():
    """A connection uses one of the families and nobody knows which."""
    dual = deployment("data/db", at=["10.0.0.5", "fd00::5"])
    assert not calls(dual, rule(block("0.0.0.0/0"))).allowed
    assert calls(dual, rule(block("0.0.0.0/0")), rule(block("::/0"))).allowed


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0"])
def test_a_complete_family_admits_pods_at_unknown_addresses(cidr):
    """Wherever the pods will run, the block has them."""
    side = calls(deployment("data/db"), rule(block(cidr)))
    assert side.allowed
    assert side.by_ip_block


def test_two_halves_make_a_complete_family():
    """Several rules may cover a family together, and are then all named."""
    halves = [rule(block("0.0.0.0/1")), rule(block("128.0.0.0/1"))]
    assert indexes(calls(deployment("data/db"), *halves)) == [0, 1]


def test_part_of_a_family_does_not_admit_pods_at_unknown_addresses():
    """Their address may be the one that is left out."""
    assert not calls(deployment("data/db"), rule(block("0.0.0.0/0", "10.0.0.1/32"))).allowed
    assert not calls(deployment("data/db"), rule(block("10.0.0.0/8"))).allowed


def test_host_network_pods_are_at_their_nodes_addresses():
    """An ipBlock with the node admits them, and is the ordinary way to do so."""
    agent = host_daemon("kube-system/dns", at=["192.168.0.1"])
    side = calls(agent, rule(block("192.168.0.0/24")))
    assert side.allowed
    assert not side.by_ip_block
    assert not calls(agent, rule(block("10.0.0.0/8"))).allowed


def test_host_network_pods_on_unknown_nodes_need_a_complete_family():
    """As for pods at unknown addresses."""
    agent = host_daemon("kube-system/dns")
    assert calls(agent, rule(block("0.0.0.0/0"))).allowed
    assert not calls(agent, rule(block("192.168.0.0/16"))).allowed


def test_ingress_admits_by_the_callers_addresses():
    """Addresses of the source count for ingress, not those of the isolated pod."""
    inside = deployment("data/db", at=["10.0.0.5"])
    door = policy("data/door", ingress=[rule(block("8.8.8.0/24"))])
    snapshot = Snapshot.of([door])
    verdict = judge(snapshot, addresses("8.8.8.8"), PodsPeer(inside), TCP, 5432)
    assert [str(ref) for ref in verdict.ingress.allowed_by] == ["data/door ingress[0]"]
    assert verdict.ingress.allowed_by == (RuleRef(door, verdict.ingress.allowed_by[0].direction, 0),)
    assert not judge(snapshot, PodsPeer(inside), PodsPeer(inside), TCP, 5432).allowed


def test_a_rule_that_names_the_pod_is_not_joined_by_blocks_that_admit_it_only_together():
    """The verdict shows what allows by itself, and parts of an admission only where nothing else allows."""
    pod = deployment("shop/db", at=["10.0.0.1", "10.0.1.1"])
    halves = rule(block("10.0.0.0/24")), rule(block("10.0.1.0/24"))
    assert indexes(calls(pod, *halves)) == [0, 1]
    assert indexes(calls(pod, *halves, rule(pods(app="db")))) == [2]


@pytest.mark.parametrize(
    "exception",
    ["169.254.169.254/32", "169.254.0.0/16", "127.0.0.0/8", "224.0.0.0/4", "0.0.0.0/8", "168.63.129.16/32"],
)
def test_an_exception_that_holds_no_pods_denies_no_pods(exception):
    """Nobody knows where the pods are, but not there."""
    assert calls(deployment("data/db"), rule(block("0.0.0.0/0", exception))).allowed


@pytest.mark.parametrize("exception", ["fe80::/10", "ff00::/8", "::1/128", "fd00:ec2::254/128"])
def test_an_ipv6_exception_that_holds_no_pods_denies_no_pods(exception):
    """The same in the other family."""
    assert calls(deployment("data/db"), rule(block("::/0", exception))).allowed


@pytest.mark.parametrize("exception", ["10.0.0.0/8", "240.0.0.0/5", "169.0.0.0/8", "8.8.8.8/32"])
def test_an_exception_that_may_hold_pods_denies_pods_at_unknown_addresses(exception):
    """A network plugin may give pods any of these."""
    assert not calls(deployment("data/db"), rule(block("0.0.0.0/0", exception))).allowed
