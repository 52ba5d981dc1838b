"""Whether what is needed and not there yet would open something that a policy opens now."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.values import block, policy, port, rule

from istio_netpol.controller.awaited import Awaited
from istio_netpol.model.policies import NetworkPolicy, PolicyRule

_policies = some.policies(names=("p0",))


def rules_meet(one: PolicyRule, other: PolicyRule) -> bool:
    """As two people would compare them."""
    ports = not one.ports or not other.ports or any(own_port in other.ports for own_port in one.ports)
    peers = not one.peers or not other.peers or any(peer in other.peers for peer in one.peers)
    return ports and (peers or bool(one.addresses & other.addresses))


def policies_meet(one: NetworkPolicy, other: NetworkPolicy) -> bool:
    return (one.namespace, one.pod_selector) == (other.namespace, other.pod_selector) and any(
        rules_meet(mine, theirs)
        for direction in one.policy_types & other.policy_types
        for mine in one.rules(direction)
        for theirs in other.rules(direction)
    )


@given(st.lists(_policies, max_size=4), _policies)
def test_it_finds_what_comparing_each_with_each_finds(
    needed: list[NetworkPolicy], here: NetworkPolicy
) -> None:
    """Only faster."""
    assert Awaited(needed).meets(here) == any(
        policies_meet(network_policy, here) for network_policy in needed
    )


def test_addresses_meet_where_blocks_overlap() -> None:
    """A host whose addresses are merged into a wider block keeps the narrower one until that is there."""
    wide = policy("shop/wide", egress=[rule(block("192.0.2.0/28"), port(443))])
    narrow = policy("shop/narrow", egress=[rule(block("192.0.2.4/32"), port(443), port(80))])
    other = policy("shop/other", egress=[rule(block("192.0.2.4/32"), port(80))])
    assert Awaited([wide]).meets(narrow)
    assert not Awaited([wide]).meets(other)
