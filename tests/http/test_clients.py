"""Who yields when there are too many."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from istio_netpol.http.clients import KNOWN_SECONDS, STRANGERS_AT_ONCE, Clients
from istio_netpol.http.connection import Connection, Phase
from istio_netpol.http.limits import Limits
from istio_netpol.turns import Turns, in_turns


class Crowd:
    """Clients, and a way to have connections of them."""

    def __init__(self, opened: ExitStack) -> None:
        self.clients = Clients(Limits(connections=100, connections_per_client=10))
        self._opened = opened

    def connect(self, address: str, phase: Phase = Phase.IDLE, *, proven: bool = False) -> Connection:
        connection = Connection(self._opened.enter_context(socket.socket()), address, 1000)
        connection.is_proven = proven
        connection.phase = phase
        self.clients.joined(connection)
        self.clients.moved(connection)
        return connection


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with ExitStack() as opened:
        yield Crowd(opened)


def test_the_client_with_the_most_yields(crowd: Crowd) -> None:
    """Its oldest connection on which no review was answered."""
    crowd.connect("few")
    crowd.connect("many", proven=True)
    oldest = crowd.connect("many", Phase.HANDSHAKE)
    crowd.connect("many")
    assert crowd.clients.yields(0.0) is oldest
    crowd.clients.moved(oldest)
    assert crowd.clients.yields(0.0) is not oldest


def test_strangers_yield_to_who_is_known(crowd: Crowd) -> None:
    """Even where they have fewer; not for ever, though."""
    for _ in range(5):
        crowd.connect("known", proven=True)
    crowd.clients.of("known").answered(0.0)
    stranger = crowd.connect("stranger")
    assert crowd.clients.yields(1.0) is stranger
    assert crowd.clients.yields(KNOWN_SECONDS) is not stranger


def test_who_is_owed_an_answer_does_not_yield(crowd: Crowd) -> None:
    """A last answer that was given is the first to go."""
    crowd.connect("a", Phase.WAITING)
    crowd.connect("a", Phase.WORKING)
    assert crowd.clients.yields(0.0) is None
    crowd.connect("a", Phase.RECEIVING)
    lingering = crowd.connect("a", Phase.LINGERING)
    assert crowd.clients.yields(0.0) is lingering


def test_bytes_are_counted_by_client(crowd: Crowd) -> None:
    """Who holds the most in many small requests gives up one, not who has the one largest."""
    large = crowd.connect("one")
    crowd.clients.holds(large, 300)
    for size in (100, 120, 110):
        small = crowd.connect("many", Phase.RECEIVING)
        crowd.clients.holds(small, size)
    heaviest = crowd.clients.heaviest(0.0)
    assert heaviest is not None
    assert (heaviest.address, heaviest.held) == ("many", 120)
    assert crowd.clients.held == 630
    crowd.clients.left(heaviest)
    assert crowd.clients.held == 510
    assert crowd.clients.heaviest(0.0) is large


def test_connections_of_strangers_are_paced(crowd: Crowd) -> None:
    """So many at once, and then so many a second; those of a known client as they come."""
    client = crowd.clients.of("a")
    assert sum(client.may_connect(10.0) for _ in range(1000)) == STRANGERS_AT_ONCE
    assert sum(client.may_connect(10.5) for _ in range(1000)) == 50
    client.answered(10.5)
    assert all(client.may_connect(10.5) for _ in range(1000))


def test_strangers_are_forgotten(crowd: Crowd) -> None:
    """Memory does not grow with addresses that were seen once; but nobody gets more by hanging up."""
    crowd.clients.of("known").answered(0.0)
    gone = crowd.connect("gone")
    hasty = crowd.clients.of("hasty")
    assert all(hasty.may_connect(1.0) for _ in range(200))
    crowd.clients.left(gone)
    crowd.clients.forget_strangers(1.0)
    assert set(crowd.clients) == {"known", "hasty"}
    crowd.clients.forget_strangers(3.0)
    assert set(crowd.clients) == {"known"}
    crowd.clients.forget_strangers(KNOWN_SECONDS)
    assert set(crowd.clients) == set()


def test_turns() -> None:
    """One thing of each owner, then the next of each; who may not, waits."""
    assert list(in_turns([("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("c", 6)])) == [1, 4, 5, 2, 6, 3]
    turns: Turns[str, int] = Turns()
    turns.put("a", 1)
    turns.put("b", 2)
    assert turns.take(lambda owner: owner != "a") == 2
    assert turns.take(lambda owner: owner != "a") is None
    assert turns.take() == 1
