"""In which order requests are answered: nobody's many go before another's one."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from istio_netpol.http.answering import Answering
from istio_netpol.http.connection import Connection, Phase
from istio_netpol.http.crew import Crew
from istio_netpol.http.message import HttpRequest
from istio_netpol.http.tenant import LONGEST_NAME, MOST_BYTES, tenant_of

MANY = 20


def review(namespace: str) -> bytes:
    return b'{"request":{"uid":"1","namespace":"%s","object":{"a":[{}]}}}' % namespace.encode()


class Door:
    """Takes requests and tells by their targets in which order they are answered, one at a time."""

    def __init__(self) -> None:
        self.answering = Answering(lambda *_: [], ("", 0), 256, lambda _: True, Crew("test"))
        self._sockets: list[socket.socket] = []

    def put(
        self, count: int, target: str, body: bytes = b"", method: str = "POST", client: str = "a"
    ) -> None:
        for _ in range(count):
            self._sockets.append(socket.socket())
            connection = Connection(self._sockets[-1], client, 1)
            connection.phase = Phase.WAITING
            self.answering.put(connection, HttpRequest(method, target, "1.1", [], body))

    def order(self) -> Iterator[str]:
        while task := self.answering.take():
            task.lane.finished(task.connection.address)
            yield task.request.target

    def close(self) -> None:
        self.answering.stop()
        for opened in self._sockets:
            opened.close()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_many_requests_that_are_no_reviews_hold_up_no_review(door: Door, method: str) -> None:
    """Nor the other way round: the two kinds take turns, and then the rest comes."""
    door.put(MANY, "other", method=method, client="b")
    door.put(3, "review")
    order = [*door.order()]
    assert {*order[:2]} == {*order[2:4]} == {*order[4:6]} == {"other", "review"}
    assert order.count("other") == MANY


def test_many_reviews_hold_up_no_probe(door: Door) -> None:
    door.put(MANY, "review")
    door.put(1, "probe", method="GET")
    assert "probe" in [*itertools.islice(door.order(), 2)]


def test_namespaces_of_one_client_take_turns(door: Door) -> None:
    """All reviews come from the API server, whichever tenant caused them."""
    door.put(MANY, "crowd", review("a"))
    door.put(2, "other", review("b"))
    door.put(2, "none", b"this is not a review")
    order = [*door.order()]
    assert order[:6] == ["crowd", "other", "none"] * 2
    assert order[6:] == ["crowd"] * (MANY - 2)


def test_a_client_gets_no_more_turns_by_many_namespaces(door: Door) -> None:
    for number in range(MANY):
        door.put(1, "crowd", review(f"namespace-{number}"), client="b")
    door.put(3, "other", review("namespace-1"))
    assert [*itertools.islice(door.order(), 6)] == ["crowd", "other"] * 3


@pytest.mark.parametrize(
    ("body", "tenant"),
    [
        (review("team-a"), "team-a"),
        (b'{"kind":"AdmissionReview","request":{"namespace":"a","namespace":"b"}}', "b"),
        (b'{"request":{"name":"cluster-wide"}}', ""),
        (b'{"request":{"namespace":null}}', ""),
        (b'{"request":{"namespace":["a"]}}', ""),
        (b'{"request":{"namespace":"a"}', ""),
        (b'{"request":{"namespace":"\xff"}}', ""),
        (b'{"request":{"namespace":"\\ud800"}}', ""),
        (b'{"request":null}', ""),
        (b"[" * 100_000, ""),
        (b"", ""),
        (review("n" * (LONGEST_NAME + 1)), ""),
        (review("a") + b" " * MOST_BYTES, ""),
    ],
)
def test_tenant_of_a_body(body: bytes, tenant: str) -> None:
    """A body that is not a review belongs to nobody's turn; it is refused later, with a reason."""
    assert tenant_of(body) == tenant
