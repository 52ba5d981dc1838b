"""Lists of connections: streamed, in three formats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from tests.report.results import CONNECTIONS

from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.report.connections import csv_pieces, json_pieces, text_pieces

names = st.text(max_size=5)
ports = st.builds(ConnectionSet.of, st.sampled_from(Protocol), st.integers(1, 65535)) | st.just(
    ConnectionSet()
)
rows = st.lists(
    st.builds(AllowedConnection, names, names, st.lists(ports, max_size=3).map(ConnectionSet.union))
)


def test_json_has_the_documented_shape() -> None:
    """Ranges sorted by protocol and port."""
    assert json.loads("".join(json_pieces(CONNECTIONS[1:2]))) == {
        "connections": [
            {
                "source": "shop/Deployment/cart",
                "destination": "shop/Deployment/db",
                "ports": [
                    {"protocol": "TCP", "from": 5432, "to": 5432},
                    {"protocol": "UDP", "from": 53, "to": 60},
                ],
            }
        ]
    }


def test_an_empty_list_is_a_document() -> None:
    """No connection is an answer too."""
    assert json.loads("".join(json_pieces(()))) == {"connections": []}
    assert "".join(text_pieces(())) == "No connection is allowed.\n"
    assert "".join(csv_pieces(())) == "source,destination,protocol,from,to\n"


@given(rows)
def test_json_written_by_hand_is_json(connections: list[AllowedConnection]) -> None:
    """Whatever the names hold, a JSON reader gets them back."""
    found = json.loads("".join(json_pieces(connections)))["connections"]
    assert [(connection["source"], connection["destination"]) for connection in found] == [
        (connection.source, connection.destination) for connection in connections
    ]
    assert [len(connection["ports"]) for connection in found] == [
        sum(len(intervals) for _, intervals in connection.ports.ranges) for connection in connections
    ]


@given(rows)
def test_csv_written_by_hand_is_csv(connections: list[AllowedConnection]) -> None:
    """Whatever the names hold, a CSV reader gets them back: a row a range."""
    reader = csv.reader(io.StringIO("".join(csv_pieces(connections)), newline=""))
    assert list(reader)[1:] == [
        [connection.source, connection.destination, str(protocol), str(low), str(high)]
        for connection in connections
        for protocol, intervals in connection.ports.ranges
        for low, high in intervals
    ]


def test_a_list_is_written_while_it_is_made() -> None:
    """The first rows are out long before the last one is known."""

    def endless() -> Iterator[AllowedConnection]:
        while True:
            yield CONNECTIONS[0]

    assert len(list(islice(json_pieces(endless()), 3))) == 3
    assert len(list(islice(text_pieces(endless()), 3))) == 3
    assert len(list(islice(csv_pieces(endless()), 3))) == 3


def test_more_port_sets_than_are_remembered_are_still_right() -> None:
    """What is forgotten is written anew."""
    many = [
        AllowedConnection("a", "b", ConnectionSet.of(Protocol.TCP, 1 + number % 65535))
        for number in range(20_001)
    ]
    found = json.loads("".join(json_pieces(many)))["connections"]
    assert [connection["ports"][0]["from"] for connection in found] == [
        1 + number % 65535 for number in range(20_001)
    ]
