"""Connections and required flows gained and lost between two inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.analysis.check import check, judge_of
from istio_netpol.analysis.listing import connections
from istio_netpol.analysis.results import AllowedConnection, Difference
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.addresses import NO_ADDRESSES, AddressSet
from istio_netpol.model.connections import NO_CONNECTIONS, ConnectionSet
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import AddressPeer, FlowKey, HostPeer, RequiredFlow
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.netpol.ipv6 import knows_ipv6
from istio_netpol.state.snapshot import Snapshot


class _ConnectionList(Struct):
    """A list of connections: between workloads by pair, with ranges by workload and side, since ranges are
    cut anew by each input."""

    pairs: dict[tuple[str, str], ConnectionSet] = field(default_factory=dict)
    ranges: dict[tuple[str, bool], list[tuple[AddressSet, ConnectionSet]]] = field(default_factory=dict)


def diff(old: Snapshot, new: Snapshot, settings: Settings, resolver: Resolver) -> Difference:
    """What `new` allows and denies that `old` did not.

    A required flow is lost where it is denied only in `new`, and gained where `new` still needs it and no
    longer denies it.
    """
    with_ipv6 = knows_ipv6(old) or knows_ipv6(new)
    before, after = (_listing(snapshot, settings, with_ipv6) for snapshot in (old, new))
    needed = _needed(new, settings, resolver)
    denied_before, denied_after = _denied(old, settings, resolver), _denied(new, settings, resolver)
    return Difference(
        gained=_minus(after, before),
        lost=_minus(before, after),
        flows_gained=tuple(
            finding for key, finding in denied_before.items() if key in needed and key not in denied_after
        ),
        flows_lost=tuple(finding for key, finding in denied_after.items() if key not in denied_before),
    )


def _needed(snapshot: Snapshot, settings: Settings, resolver: Resolver) -> set[FlowKey]:
    """All required flows, those to pods that a host turns out to be among them."""
    table = FlowTable.of(snapshot, settings)
    judge = judge_of(table, resolver)
    found: set[FlowKey] = set()
    for flow in table.flows():
        found.add(_identity(flow))
        if isinstance(flow.destination, HostPeer):
            found.update(_identity(outcome.flow) for outcome in judge.resolved(flow))
    return found


def _listing(snapshot: Snapshot, settings: Settings, with_ipv6: bool) -> _ConnectionList:
    listing = _ConnectionList()
    for connection in connections(snapshot, settings, with_ipv6=with_ipv6):
        if "/" not in connection.destination:
            _add_range(listing, (connection.source, True), connection.destination, connection.ports)
        elif "/" not in connection.source:
            _add_range(listing, (connection.destination, False), connection.source, connection.ports)
        else:
            listing.pairs[connection.source, connection.destination] = connection.ports
    return listing


def _add_range(listing: _ConnectionList, key: tuple[str, bool], text: str, ports: ConnectionSet) -> None:
    low, high = (ip_address(end) for end in text.split("-"))
    addresses = AddressSet.from_range(low.version, int(low), int(high))
    listing.ranges.setdefault(key, []).append((addresses, ports))


def _minus(left: _ConnectionList, right: _ConnectionList) -> tuple[AllowedConnection, ...]:
    found = [
        AllowedConnection(*pair, rest)
        for pair, ports in left.pairs.items()
        if (rest := ports - right.pairs.get(pair, NO_CONNECTIONS))
    ]
    for (workload, outward), ranges in left.ranges.items():
        for text, ports in _minus_ranges(ranges, right.ranges.get((workload, outward), ())):
            found.append(
                AllowedConnection(workload, text, ports)
                if outward
                else AllowedConnection(text, workload, ports)
            )
    return tuple(sorted(found, key=lambda connection: (connection.source, connection.destination)))


def _minus_ranges(
    left: Iterable[tuple[AddressSet, ConnectionSet]], right: Iterable[tuple[AddressSet, ConnectionSet]]
) -> Iterator[tuple[str, ConnectionSet]]:
    rest = list(left)
    for addresses, ports in right:
        parts = [(remaining & addresses, mine - ports) for remaining, mine in rest]
        rest = [part for part in parts if all(part)] + [
            (outside, mine) for remaining, mine in rest if (outside := remaining - addresses)
        ]
    merged: dict[ConnectionSet, AddressSet] = {}
    for addresses, ports in rest:
        merged[ports] = merged.get(ports, NO_ADDRESSES) | addresses
    for ports, addresses in merged.items():
        for low, high in addresses.ranges():
            yield f"{low}-{high}", ports


def _denied(snapshot: Snapshot, settings: Settings, resolver: Resolver) -> dict[FlowKey, Finding]:
    findings = check(snapshot, settings, resolver).findings
    return {
        _identity(finding.flow): finding
        for finding in findings
        if finding.flow and finding.severity is Severity.ERROR
    }


def _identity(flow: RequiredFlow) -> FlowKey:
    """The key of a flow, the same before and after its host is resolved."""
    peer = flow.destination
    if isinstance(peer, AddressPeer) and peer.host:
        return replace(flow, destination=HostPeer(peer.host)).key
    return flow.key
