"""Reads what `connections` lists back into values."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from istio_netpol.model.addresses import Address, AddressSet
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.netpol.connectivity import connections
from istio_netpol.state.snapshot import Snapshot

Table = dict[tuple[str, str], ConnectionSet]


def table(objects: Iterable[object]) -> Table:
    """The ports by source and destination; a pair that is listed twice is an error."""
    rows = list(connections(Snapshot.of(objects)))
    found = {(source, destination): ports for source, destination, ports in rows}
    assert len(found) == len(rows)
    return found


def parse_range(text: str) -> AddressSet:
    """The addresses of a printed range `low-high`."""
    low, high = (ip_address(end) for end in text.split("-"))
    assert low.version == high.version
    return AddressSet.from_range(low.version, int(low), int(high))


def ports_at(listed: Table, workload: str, address: Address) -> tuple[ConnectionSet, ConnectionSet]:
    """What a workload may call at an address, and what the address may call of the workload."""
    called = calling = ConnectionSet()
    for (source, destination), ports in listed.items():
        if source == workload and "/" not in destination and parse_range(destination).contains(address):
            called |= ports
        if destination == workload and "/" not in source and parse_range(source).contains(address):
            calling |= ports
    return called, calling
