"""Address sets and ipBlocks against the standard library."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.model.addresses import (
    ALL_ADDRESSES,
    ALL_IPV4,
    ALL_IPV6,
    AddressSet,
    IpBlock,
    ipv4_exceptions,
    is_network,
    parse_address,
    parse_network,
    parse_networks,
)

SPELLINGS = st.lists(st.sampled_from([*"0123456789.:/%[]af", "10", "255", "::", "/32", "/128"]), max_size=14)


@given(SPELLINGS.map("".join))
def test_addresses_and_networks_are_those_of_the_standard_library(text: str) -> None:
    """Read faster, and the same texts; only brackets around an address are ours."""
    assert parse_network(text) == (None if "%" in text else _found(ip_network, text, strict=False))
    bare = text.removeprefix("[").removesuffix("]")
    assert parse_address(text) == (None if "%" in text else _found(ip_address, bare))
    readable, unreadable = parse_networks([text])
    assert list(readable.networks()) == [found for found in [parse_network(text)] if found]
    assert unreadable == (() if readable else (text,))


def _found(read: Callable[..., Any], text: str, **options: bool) -> Any:
    try:
        return read(text, **options)
    except ValueError:
        return None


@given(st.sampled_from([(4, 32), (6, 128)]), st.data())
def test_cidrs_are_those_of_the_standard_library(family: tuple[int, int], data: st.DataObject) -> None:
    """As few of them, in the same order."""
    version, bits = family
    ends = sorted(data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=2, max_size=2)))
    covered = AddressSet.from_range(version, ends[0], ends[1])
    networks = [str(network) for network in covered.networks()]
    assert (list(covered.cidrs()), covered.cidr_count) == (networks, len(networks))


TEXTS = (
    "0.0.0.0/0",
    "0.0.0.0/30",
    "0.0.0.2/31",
    "10.0.0.0/30",
    "10.0.0.2/32",
    "10.0.0.4/31",
    "255.255.255.254/31",
    "::/0",
    "::/126",
    "::2/127",
    "fd00::/126",
    "fd00::3/128",
)
DOMAIN = [
    ip_address(text)
    for text in (
        "0.0.0.0",
        "0.0.0.2",
        "0.0.0.3",
        "0.0.0.4",
        "9.255.255.255",
        "10.0.0.0",
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.4",
        "10.0.0.5",
        "10.0.0.6",
        "255.255.255.253",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::2",
        "::3",
        "::4",
        "fd00::",
        "fd00::2",
        "fd00::3",
        "fd00::4",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    )
]
texts = st.lists(st.sampled_from(TEXTS), max_size=4)
sets = texts.map(lambda some: AddressSet.of(*some))


def members(some):
    return {address for address in DOMAIN if some.contains(address)}


@given(texts)
def test_a_set_holds_the_addresses_of_its_networks(some):
    """As the standard library sees them."""
    assert members(AddressSet.of(*some)) == {
        address for address in DOMAIN if any(address in ip_network(text) for text in some)
    }


@given(sets, sets)
def test_union(left, right):
    """An address is in the union if it is in either set."""
    assert members(left | right) == members(left) | members(right)


@given(st.lists(sets, max_size=4))
def test_union_of_many(several):
    """An address is in the union of any number of sets if it is in one of them."""
    assert members(AddressSet.union(several)) == set().union(*map(members, several))


@given(sets, sets)
def test_intersection(left, right):
    """An address is in the intersection if it is in both sets."""
    assert members(left & right) == members(left) & members(right)


@given(sets, sets)
def test_difference(left, right):
    """An address is in the difference if it is in the first set only."""
    assert members(left - right) == members(left) - members(right)


@given(sets, sets)
def test_inclusion(left, right):
    """One set is within another if the other adds nothing by losing it."""
    assert (left <= right) == ((left | right) == right)


@given(sets, sets, sets)
def test_equal_sets_have_one_form(left, middle, right):
    """However a set was made, equal contents are equal values."""
    assert (left | middle) & right == (right & middle) | (right & left)


@given(sets)
def test_networks_cover_exactly_the_set(some):
    """The CIDRs of a set, put together again, are the set."""
    assert AddressSet.of(*some.networks()) == some


@given(sets)
def test_ranges_cover_exactly_the_set(some):
    """The ranges of a set, put together again, are the set."""
    total = AddressSet()
    for low, high in some.ranges():
        total |= AddressSet.from_range(low.version, int(low), int(high))
    assert total == some


@given(sets)
def test_only_the_empty_set_is_false(some):
    """Both families count."""
    assert bool(some) == (some != AddressSet())


def test_ranges_list_ipv4_before_ipv6():
    """Each with its first and last address, maximal."""
    some = AddressSet.of("fd00::/127", "10.0.0.0/31", "10.0.0.2/31", "9.0.0.1")
    assert [f"{low}-{high}" for low, high in some.ranges()] == [
        "9.0.0.1-9.0.0.1",
        "10.0.0.0-10.0.0.3",
        "fd00::-fd00::1",
    ]


def test_the_fewest_networks_are_listed():
    """Neighbouring CIDRs are written as one."""
    some = AddressSet.of("10.0.0.0/25", "10.0.0.128/25", ip_address("10.0.1.0"))
    assert [str(network) for network in some.networks()] == ["10.0.0.0/24", "10.0.1.0/32"]


def test_everything_is_both_families():
    """ALL_ADDRESSES has two parts that share nothing."""
    assert ALL_IPV4 | ALL_IPV6 == ALL_ADDRESSES == AddressSet.of("0.0.0.0/0", "::/0")
    assert not ALL_IPV4 & ALL_IPV6


def test_a_text_that_is_no_address_is_refused():
    """The error names the text."""
    with pytest.raises(ValueError, match=r"'10\.0\.0' does not appear to be an IPv4 or IPv6 network"):
        AddressSet.of("10.0.0")


def test_a_block_is_its_cidr_without_its_exceptions():
    """Host bits of the CIDR are kept as written and mean nothing."""
    block = IpBlock("10.0.0.7/24", ("10.0.0.0/25",))
    assert block.cidr == "10.0.0.7/24"
    assert block.addresses == AddressSet.of("10.0.0.128/25")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", ip_address("10.0.0.1")),
        ("::1", ip_address("::1")),
        ("[::1]", ip_address("::1")),
        ("localhost", None),
        ("10.0.0.0/8", None),
        ("", None),
    ],
)
def test_parse_address(text, address):
    """An address in any of its spellings, or None."""
    assert parse_address(text) == address


EXCEPTIONS = st.lists(
    st.one_of(
        st.builds(lambda third, prefix: f"10.0.{third}.0/{prefix}", st.integers(0, 255), st.integers(16, 32)),
        st.sampled_from(
            ["10.0.1.0/024", "10.0.1.0", "10.0.1.0/33", "10.1.0.0/24", "10.0.1.0/24\n10.0.2.0/24"]
        ),
        st.sampled_from(["", "::/0", "10.0.01.0/24", "10.0.1.300/24", "10.0.1.0/24 ", "\u00b2.0.0.0/8"]),
    ),
    max_size=5,
)


@given(EXCEPTIONS)
def test_exceptions_are_read_fast_as_ipaddress_reads_them(exceptions: list[str]) -> None:
    """Either all are in their usual spelling and smaller than the block, or the slow way has the word."""
    found = ipv4_exceptions("10.0.0.0/16", exceptions)
    if found is not None:
        networks = [ip_network(exception, strict=False) for exception in exceptions]
        assert found == AddressSet.of("10.0.0.0/16") - AddressSet.of(*networks)
        assert all(network != ip_network("10.0.0.0/16") for network in networks)
    else:
        assert any(not _is_usual(exception) for exception in exceptions)


def _is_usual(text: str) -> bool:
    try:
        network = ip_network(text, strict=True)
    except ValueError:
        return False
    return str(network) == text and network.prefixlen > 16 and text.startswith("10.0.")


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1))
def test_cidrs_are_those_of_ipaddress(one: int, other: int, six: int) -> None:
    """The fewest that cover exactly the set, as text."""
    low, high = sorted((one, other))
    addresses = AddressSet(((low, high),), ((six, min(six + low, 2**128 - 1)),))
    assert list(addresses.cidrs()) == [str(network) for network in addresses.networks()]


@pytest.mark.parametrize("text", ["fe80::1%eth0", "[fe80::1%1]", "fe80::%eth0/64"])
def test_a_zone_is_not_part_of_an_address(text):
    """As in Kubernetes: two addresses that only differ in it would count as one, or as two, by who looks."""
    assert parse_address(text) is None
    assert not is_network(text)


def test_a_block_is_shown_without_what_was_worked_out_of_it():
    """A policy may list a hundred thousand exceptions, and a log line show it."""
    block = IpBlock("10.0.0.0/24", ("10.0.0.0/25",), AddressSet.of("10.0.0.128/25"))
    assert repr(block) == "IpBlock(cidr='10.0.0.0/24', exceptions=('10.0.0.0/25',))"
