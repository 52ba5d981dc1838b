"""What no object may open, however its author spells it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

import pytest

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import HostSettings
from istio_netpol.trust.host_policy import HostAnswer, HostGate, HostLimits
from istio_netpol.trust.special_addresses import PLATFORM, SPECIAL

NOT_GLOBAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.0.170/32", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001::/32", "2001:2::/48", "2001:10::/28", "2002::/16", "5f00::/16"),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]
"""The rows of IANA's special-purpose registries that are not globally reachable, without the documentation
ranges, and the multicast ranges."""

METADATA = int.from_bytes(bytes([169, 254, 169, 254]))
EMBEDDINGS = {
    "compatible": IPv6Address(METADATA),
    "mapped": IPv6Address((0xFFFF << 32) | METADATA),
    "translated": IPv6Address((0xFFFF << 48) | METADATA),
    "NAT64": IPv6Address((0x64FF9B << 96) | METADATA),
    "local NAT64": IPv6Address((0x64FF9B0001 << 80) | METADATA),
    "6to4": IPv6Address((0x2002 << 112) | (METADATA << 80) | 1),
    "Teredo": IPv6Address((0x20010000 << 96) | (METADATA ^ 0xFFFFFFFF)),
    "ISATAP, link-local": IPv6Address((0xFE80 << 112) | (0x5EFE << 32) | METADATA),
}
EVERYWHERE = HostSettings()


class Nobody:
    """A resolver that is never asked."""

    def resolve(self, host: str, asker: str) -> Resolution:
        return Resolution(host, (), ResolutionStatus.NOT_FOUND, reason="nobody asks")


def literal(text: str, settings: HostSettings = EVERYWHERE, nodes: str = "") -> HostAnswer:
    """The limits' word on a literal that an object of `shop` names."""
    known = AddressSet.of(*nodes.split())
    limits = HostLimits(settings, lambda: known, lambda: known)
    return HostGate(Nobody(), limits).literal(text, AddressSet.of(text), "shop")


@pytest.mark.parametrize("text", NOT_GLOBAL)
def test_what_the_registries_do_not_call_global_is_special(text: str) -> None:
    """Every row as a whole."""
    assert AddressSet.of(text) <= SPECIAL


@pytest.mark.parametrize("address", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_an_embedded_metadata_address_is_refused(address: IPv6Address) -> None:
    """However IPv6 carries it."""
    assert literal(str(address)).refused


@pytest.mark.parametrize(
    "text", ["168.63.129.16", "161.26.0.10", "166.8.0.1", "192.0.0.192", "100.100.100.200"]
)
def test_a_platform_address_is_refused(text: str) -> None:
    """Also where the registries call its range public."""
    assert literal(text).refused == f"{text} is a private, reserved or cluster address"
    assert AddressSet.of(text) <= PLATFORM


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "192.31.196.1", "192.175.48.1"]
)
def test_a_public_address_is_allowed(text: str) -> None:
    """The registries' own exceptions among them."""
    assert not literal(text).refused


def test_documentation_ranges_stand_for_public_hosts() -> None:
    """Pages and tests show them, and nobody is there."""
    ranges = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
    assert not AddressSet.of(*ranges) & SPECIAL


def test_a_range_that_contains_a_forbidden_address_is_refused_as_a_whole() -> None:
    """Nothing of it is opened, and the sentence says which address is in the way."""
    answer = literal("0.0.0.0/0")
    assert answer.refused == "0.0.0.0/0 contains 0.0.0.0, a private, reserved or cluster address"
    assert not answer.addresses
    assert "contains 169.254.0.0" in literal("169.252.0.0/14").refused


def test_a_narrowed_list_of_hosts_lets_no_literal_pass() -> None:
    """An address is no way around the list."""
    narrowed = HostSettings(allowed_hosts=("*.example.com",))
    answer = literal("1.1.1.1", narrowed)
    assert answer.refused == (
        "1.1.1.1 is not among the addresses that the administrator allows (hosts.allowedAddresses)"
    )


@pytest.mark.parametrize(
    ("text", "is_refused"), [("1.1.1.0/25", False), ("1.1.1.1", False), ("1.1.0.0/23", True)]
)
def test_literals_have_a_list_of_their_own(text: str, is_refused: bool) -> None:
    """Only what lies in it as a whole is allowed."""
    listed = HostSettings(allowed_hosts=("*.example.com",), allowed_addresses=("1.1.1.0/24",))
    assert bool(literal(text, listed).refused) is is_refused


def test_an_administrator_permits_private_literals() -> None:
    """`allowedPrivate` holds for hosts and literals, and for nothing beside its ranges."""
    permitted = HostSettings(allowed_private=("10.0.0.0/24", "169.254.169.254/32"))
    assert not literal("10.0.0.0/24", permitted).refused
    assert not literal("169.254.169.254", permitted).refused
    assert literal("10.0.1.1", permitted).refused


def test_many_networks_of_one_namespace_are_capped() -> None:
    """One wide network is one; what counts is how many a policy would have to list."""
    capped = HostSettings(max_addresses_per_namespace=2)
    gate = HostGate(Nobody(), HostLimits(capped, AddressSet))
    texts = ["1.0.0.0/12", "2.0.0.0/12", "3.0.0.0/12"]
    answers = [gate.literal(text, AddressSet.of(text), "shop") for text in texts]
    assert [bool(answer.refused) for answer in answers] == [False, False, True]


@pytest.mark.parametrize(("text", "is_refused"), [("172.18.0.3", False), ("169.254.169.254", True)])
def test_pods_of_the_host_network_are_at_nodes(text: str, is_refused: bool) -> None:
    """A status may name any address: only one of a Node is believed."""
    nodes = AddressSet.of("172.18.0.3")
    gate = HostGate(Nobody(), HostLimits(EVERYWHERE, lambda: nodes, lambda: nodes))
    assert bool(gate.of_host_network(text, AddressSet.of(text), "shop").refused) is is_refused


def test_every_row_is_a_network() -> None:
    """The list above has no misprint."""
    assert [str(ip_network(text)) for text in NOT_GLOBAL] == NOT_GLOBAL
