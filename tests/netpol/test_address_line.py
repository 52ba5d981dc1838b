"""What rules open along the line of all addresses, and to workloads that have some of them."""

from functools import reduce
from ipaddress import ip_address
from operator import and_, or_

from hypothesis import given
from hypothesis import strategies as st
from tests.netpol.port_numbers import SETS

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import NO_CONNECTIONS
from istio_netpol.netpol.address_line import (
    FIRST_IPV6,
    LAST,
    WorkloadAddresses,
    address_at,
    point,
    ports_at,
    ports_throughout,
    stretches,
)
from istio_netpol.netpol.port_sets import PortSets

IPV4 = ("0.0.0.0", "0.0.0.1", "0.0.0.2", "0.0.0.3", "255.255.255.254", "255.255.255.255")
IPV6 = ("::", "::1", "::2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
PROBES = [ip_address(text) for text in (*IPV4, *IPV6)]
BLOCKS = (
    "0.0.0.0/32", "0.0.0.1/32", "0.0.0.0/31", "0.0.0.2/31", "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1",
    "255.255.255.255/32", "::/128", "::1/128", "::/127", "::/0", "::/1", "8000::/1",
)  # fmt: skip

rules = st.lists(st.tuples(st.sets(st.sampled_from(BLOCKS), min_size=1), st.sampled_from(SETS)), max_size=5)
places = st.lists(st.sampled_from(PROBES), max_size=3)


def opened(rules, address):
    """The ports that the rules open to one address."""
    return reduce(
        or_, (ports for blocks, ports in rules if AddressSet.of(*blocks).contains(address)), NO_CONNECTIONS
    )


def line_of(rules, sets):
    return stretches(((AddressSet.of(*blocks), sets.number(ports)) for blocks, ports in rules), sets)


def everywhere(rules, version):
    """The ports that the rules open to every address of a family: they change only at the edges of blocks."""
    first, last = (PROBES[0], PROBES[5]) if version == 4 else (PROBES[6], PROBES[-1])
    edges = {first}
    for block in {block for blocks, _ in rules for block in blocks}:
        for low, high in AddressSet.of(block).ranges():
            if low.version == version:
                edges |= {low, high, low if low == first else low - 1, last if high == last else high + 1}
    return reduce(and_, (opened(rules, edge) for edge in edges))


def test_addresses_of_both_families_have_points_of_their_own():
    """0.0.0.1 and ::1 are different places."""
    assert [point(probe) for probe in PROBES[:2]] == [0, 1]
    assert [point(probe) for probe in PROBES[6:8]] == [FIRST_IPV6, FIRST_IPV6 + 1]
    assert point(PROBES[-1]) == LAST
    assert [address_at(point(probe)) for probe in PROBES] == PROBES


@given(rules)
def test_the_ports_at_an_address_are_those_of_its_rules(rules):
    """At the ends of blocks too, and nothing between them."""
    sets = PortSets()
    line = line_of(rules, sets)
    for address in PROBES:
        assert sets.value(ports_at(line, point(address))) == opened(rules, address)


@given(rules)
def test_the_ports_of_a_whole_family_are_open_at_each_of_its_addresses(rules):
    """A rule for half of the Internet does not count as one for all of it."""
    sets = PortSets()
    line = line_of(rules, sets)
    for version, low, high in ((4, 0, FIRST_IPV6 - 1), (6, FIRST_IPV6, LAST)):
        assert sets.value(ports_throughout(line, low, high, sets)) == everywhere(rules, version)


@given(rules, st.lists(places, min_size=1, max_size=4))
def test_a_workload_is_open_to_what_all_of_its_addresses_are(rules, workloads):
    """Pods are several, each with its own address, and all must be reached; one whose addresses nobody knows
    yet may get any of a family."""
    sets = PortSets()
    cells = WorkloadAddresses(workloads).cells(line_of(rules, sets), sets)
    for position, addresses in enumerate(workloads):
        numbers = [number for number, mask in cells.items() if mask >> position & 1]
        assert len(numbers) <= 1
        if addresses:
            expected = reduce(and_, (opened(rules, text) for text in addresses))
        else:
            expected = everywhere(rules, 4) | everywhere(rules, 6)
        assert (sets.value(numbers[0]) if numbers else NO_CONNECTIONS) == expected
    assert not any(mask >> len(workloads) for mask in cells.values())
