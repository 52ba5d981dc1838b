"""What may flow between namespaces, for people, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.analysis.listing.by_namespace import NamespacePair
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.printable import visible
from istio_netpol.report.connections import csv_field, port_documents
from istio_netpol.report.json_format import dump
from istio_netpol.report.palette import PLAIN, text_of_inputs
from istio_netpol.report.places import plural

Named = Sequence[tuple[str, Sequence[NamespacePair]]]
"""The pairs of each of several inputs under its name; a single one has none."""

_MOST_RANGES = 6
"""Ranges of ports on a line; the JSON has all."""


def text_pairs(named: Named) -> str:
    """A line for each pair of namespaces."""
    return text_of_inputs(named, lambda pairs, _: _text(pairs), PLAIN)


def json_pairs(named: Named) -> str:
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


def csv_pairs(named: Named) -> str:
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
