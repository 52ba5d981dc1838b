"""Connection sets against Python sets of (protocol, port)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.values import SCTP, TCP, UDP

from istio_netpol.model.connections import ALL_CONNECTIONS, NO_CONNECTIONS, ConnectionSet, Protocol

DOMAIN = {(protocol, number) for protocol in Protocol for number in (1, 2, 3, 4, 5, 6, 65534, 65535)}

pieces = st.builds(
    lambda protocol, low, length: ConnectionSet.of(protocol, low, min(low + length, 65535)),
    st.sampled_from(Protocol),
    st.sampled_from((1, 2, 3, 4, 5, 65534, 65535)),
    st.integers(0, 3),
) | st.builds(ConnectionSet.of, st.sampled_from(Protocol))
sets = st.lists(pieces, max_size=4).map(ConnectionSet.union) | st.just(ALL_CONNECTIONS)


def members(some):
    return {port for port in DOMAIN if some.contains(*port)}


@given(sets, sets)
def test_union(left, right):
    """A port is in the union if it is in either set."""
    assert members(left | right) == members(left) | members(right)


@given(st.lists(sets, max_size=4))
def test_union_of_many(several):
    """A port is in the union of any number of sets if it is in one of them."""
    assert members(ConnectionSet.union(several)) == set().union(*map(members, several))


@given(sets, sets)
def test_intersection(left, right):
    """A port is in the intersection if it is in both sets."""
    assert members(left & right) == members(left) & members(right)


@given(sets, sets)
def test_difference(left, right):
    """A port is in the difference if it is in the first set only."""
    assert members(left - right) == members(left) - members(right)


@given(sets, sets)
def test_inclusion(left, right):
    """One set is within another if the other adds nothing by losing it."""
    assert (left <= right) == ((left | right) == right)


@given(sets, sets, sets)
def test_equal_sets_have_one_form(left, middle, right):
    """However a set was made, equal contents are equal values with equal hashes."""
    one, other = (left | middle) & right, (right & middle) | (right & left)
    assert one == other
    assert hash(one) == hash(other)


@given(sets)
def test_a_set_and_its_complement_are_everything(some):
    """Nothing is lost and nothing is in both."""
    rest = ALL_CONNECTIONS - some
    assert some | rest == ALL_CONNECTIONS
    assert not some & rest


@given(sets)
def test_only_the_empty_set_is_false(some):
    """A set without ports is NO_CONNECTIONS."""
    assert bool(some) == (some != NO_CONNECTIONS)


@pytest.mark.parametrize(
    ("some", "text"),
    [
        (ALL_CONNECTIONS, "all"),
        (NO_CONNECTIONS, ""),
        (ConnectionSet.of(TCP, 443), "TCP 443"),
        (ConnectionSet.of(UDP), "UDP 1-65535"),
        (ConnectionSet.of(TCP, 80, 81) | ConnectionSet.of(SCTP, 9), "SCTP 9, TCP 80-81"),
    ],
)
def test_text_is_sorted_by_protocol_and_port(some, text):
    """Single ports stand alone, ranges have both ends, and the full set has a word."""
    assert str(some) == text


def test_the_intervals_of_a_protocol_that_is_absent_are_none():
    """Asking for UDP in a TCP set gives nothing."""
    assert ConnectionSet.of(TCP, 80).intervals(UDP) == ()
    assert ConnectionSet.of(TCP, 80).intervals(TCP) == ((80, 80),)
