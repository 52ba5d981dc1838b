"""The allowed connections of `list`, one by one or by pairs of namespaces, for people, as JSON and as CSV:
in pieces of text, as a large cluster has millions of lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from istio_netpol.analysis.listing import NamespacePair
from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.printable import visible
from istio_netpol.report.json_format import dump
from istio_netpol.report.palette import PLAIN, input_heading, text_of_inputs
from istio_netpol.report.places import plural

_ROWS = 1000
"""Rows in one piece."""

_REMEMBERED = 10_000


class Names(dict[str, str]):
    """The written form of each name, made at its first use."""

    def __init__(self, write: Callable[[str], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, name: str) -> str:
        written = self[name] = self._write(name)
        return written


class WrittenPorts:
    """The written form of each set of ports, found by identity: hashing a set costs more than a row.

    What is remembered is kept alive, so that no other set can take over its identity.
    """

    def __init__(self, write: Callable[[ConnectionSet], str]) -> None:
        self._write = write
        self._known: dict[int, tuple[ConnectionSet, str]] = {}

    def __call__(self, ports: ConnectionSet) -> str:
        found = self._known.get(id(ports))
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[id(ports)] = (ports, self._write(ports))
        return found[1]


def json_pieces(connections: Iterable[AllowedConnection]) -> Iterator[str]:
    """The document `{"connections": […]}`, a line a connection."""
    name, ports = Names(json.dumps), WrittenPorts(_json_ports)
    rows = (
        f'{{"source": {name[connection.source]}, "destination": {name[connection.destination]}, '
        f'"ports": {ports(connection.ports)}{_json_not_read(connection)}}}'
        for connection in connections
    )
    yield '{"connections": ['
    separator = "\n"
    while piece := list(islice(rows, _ROWS)):
        yield separator + ",\n".join(piece)
        separator = ",\n"
    yield "]}\n" if separator == "\n" else "\n]}\n"


def text_pieces(connections: Iterable[AllowedConnection]) -> Iterator[str]:
    """`source -> destination: TCP 5432, UDP 53-60`, a line a connection."""
    name, ports = Names(visible), WrittenPorts(str)
    rows = (
        f"{name[connection.source]} -> {name[connection.destination]}: "
        f"{ports(connection.ports)}{_text_not_read(connection)}\n"
        for connection in connections
    )
    empty = True
    while piece := "".join(islice(rows, _ROWS)):
        empty = False
        yield piece
    if empty:
        yield "No connection is allowed.\n"


def csv_pieces(connections: Iterable[AllowedConnection]) -> Iterator[str]:
    """A header, then a row a port range: source, destination, protocol, first port, last port."""
    name = Names(csv_field)
    yield "source,destination,protocol,from,to\n"
    rows = (
        f"{name[connection.source]},{name[connection.destination]},{protocol},{low},{high}\n"
        for connection in connections
        for protocol, intervals in connection.ports.ranges
        for low, high in intervals
    )
    while piece := "".join(islice(rows, _ROWS)):
        yield piece


NamedConnections = tuple[str, Iterable[AllowedConnection]]
"""The name of one of several inputs, and its connections."""


def is_single(listings: Sequence[NamedConnections]) -> bool:
    """Whether there is one input, whose name nobody needs."""
    return len(listings) == 1


def text_connections(listings: Sequence[NamedConnections]) -> Iterator[str]:
    """The list, or each of several under the name of its input."""
    if is_single(listings):
        yield from text_pieces(listings[0][1])
        return
    separator = ""
    for name, connections in listings:
        yield f"{separator}{input_heading(name)}\n\n"
        yield from text_pieces(connections)
        separator = "\n"


def json_connections(listings: Sequence[NamedConnections]) -> Iterator[str]:
    """The document of one list; of several inputs, each connection names its own."""
    if is_single(listings):
        yield from json_pieces(listings[0][1])
        return
    separator = '{"connections": ['
    for name, connections in listings:
        end = f', "input": {json.dumps(name)}}}'
        for piece in json_pieces(connections):
            for row in piece.splitlines():
                if row.startswith('{"source"'):
                    yield f"{separator}\n{row.removesuffix(',').removesuffix('}')}{end}"
                    separator = ","
    yield f"{'' if separator == ',' else separator}\n]}}\n"


def csv_connections(listings: Sequence[NamedConnections]) -> Iterator[str]:
    """The rows of all lists; of several inputs, with the input in front."""
    if is_single(listings):
        yield from csv_pieces(listings[0][1])
        return
    header = "input,"
    for name, connections in listings:
        rows = csv_pieces(connections)
        titles = next(rows)
        yield header + titles if header else ""
        header = ""
        for piece in rows:
            yield "".join(f"{csv_field(name)},{row}\n" for row in piece.splitlines())


def _json_not_read(connection: AllowedConnection) -> str:
    return f', "notRead": {json.dumps(connection.not_read)}' if connection.not_read else ""


def _text_not_read(connection: AllowedConnection) -> str:
    if not connection.not_read:
        return ""
    verb = "is" if len(connection.not_read) == 1 else "are"
    return visible(f" ({', '.join(connection.not_read)} {verb} not read)")


def _json_ports(ports: ConnectionSet) -> str:
    return json.dumps(port_documents(ports))


def port_documents(ports: ConnectionSet) -> list[dict[str, object]]:
    """`ports` of a connection, sorted by protocol and port."""
    return [
        {"protocol": str(protocol), "from": low, "to": high}
        for protocol, intervals in ports.ranges
        for low, high in intervals
    ]


def csv_field(text: str) -> str:
    """A field of a row, quoted where it has to be."""
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


NamedPairs = Sequence[tuple[str, Sequence[NamespacePair]]]
"""The pairs of each of several inputs under its name; a single one has none."""

_MOST_RANGES = 6
"""Ranges of ports on a line; the JSON has all."""


def text_pairs(named: NamedPairs) -> str:
    """A line for each pair of namespaces."""
    return text_of_inputs(named, lambda pairs, _: _text(pairs), PLAIN)


def json_pairs(named: NamedPairs) -> str:
    """`{"namespaces": […]}`, an entry a pair."""
    entries = [
        {
            "source": pair.source,
            "destination": pair.destination,
            "connections": pair.connections,
            "sources": pair.sources,
            "destinations": pair.destinations,
            "ports": port_documents(pair.ports),
            **({"input": name} if name else {}),
        }
        for name, pairs in named
        for pair in pairs
    ]
    return dump({"namespaces": entries})


def csv_pairs(named: NamedPairs) -> str:
    """A row for each pair."""
    with_input = any(name for name, _ in named)
    header = "source,destination,connections,sources,destinations,ports\n"
    rows = [f"input,{header}" if with_input else header]
    for name, pairs in named:
        for pair in pairs:
            figures = (pair.connections, pair.sources, pair.destinations, pair.ports)
            fields = [*([name] if with_input else []), pair.source, pair.destination, *map(str, figures)]
            rows.append(",".join(map(csv_field, fields)) + "\n")
    return "".join(rows)


def _text(pairs: Sequence[NamespacePair]) -> str:
    if not pairs:
        return "No connection is allowed.\n"
    return "".join(
        visible(
            f"{pair.source} -> {pair.destination}: {_ports(pair.ports)} "
            f"({plural(pair.connections, 'connection')}, {plural(pair.sources, 'source')}, "
            f"{plural(pair.destinations, 'destination')})"
        )
        + "\n"
        for pair in pairs
    )


def _ports(ports: ConnectionSet) -> str:
    ranges = str(ports).split(", ")
    more = len(ranges) - _MOST_RANGES
    return ", ".join(ranges[:_MOST_RANGES]) + (f" and {more} more" if more > 0 else "")
