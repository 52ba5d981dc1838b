"""Which of the connections that policies open nothing asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.hbone import HBONE_PORT
from istio_netpol.model.addresses import ALL_ADDRESSES, AddressSet
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot


def beyond_required(
    gained: Iterable[AllowedConnection], before: Snapshot, settings: Settings
) -> Iterator[str]:
    """What of these connections no flow of the snapshot needs, a sentence each. istiod and DNS are opened to
    everybody who asks, so whoever was free to call them is none of it."""
    by_end: dict[str, list[RequiredFlow]] = {}
    for flow in FlowTable.of(before, settings).flows():
        for end in (flow.source, flow.destination):
            if isinstance(end, PodsPeer):
                by_end.setdefault(end.key, []).append(flow)
    for connection in gained:
        flows = (*by_end.get(connection.source, ()), *by_end.get(connection.destination, ()))
        for addresses, ports in _rest(connection, flows):
            where = f" at {', '.join(addresses.cidrs())}" if addresses != ALL_ADDRESSES else ""
            yield f"{connection.source} -> {connection.destination}{where}, {ports}"


def _rest(
    connection: AllowedConnection, flows: Iterable[RequiredFlow]
) -> list[tuple[AddressSet, ConnectionSet]]:
    """The addresses and ports of a connection that are left when those of the flows are taken away; any
    address where both ends are pods."""
    rest = [(_addresses(connection), connection.ports)]
    for flow in flows:
        source = ALL_ADDRESSES if flow.shared else _within(flow.source, connection.source)
        covered = source & _within(flow.destination, connection.destination)
        rest = [
            part
            for addresses, ports in rest
            for part in ((addresses & covered, ports - _ports(flow)), (addresses - covered, ports))
            if all(part)
        ]
    return rest


def _addresses(connection: AllowedConnection) -> AddressSet:
    for end in (connection.source, connection.destination):
        if "/" not in end:
            low, high = map(ip_address, end.split("-"))
            return AddressSet.from_range(low.version, int(low), int(high))
    return ALL_ADDRESSES


def _ports(flow: RequiredFlow) -> ConnectionSet:
    """All that the list shows once the flow is allowed: a tunnel carries every TCP port."""
    if flow.protocol is Protocol.TCP and flow.port == HBONE_PORT:
        return ConnectionSet.of(Protocol.TCP)
    return ConnectionSet.of(flow.protocol, flow.port)


def _within(peer: Peer, end: str) -> AddressSet:
    """The part of an end of the list, `namespace/Kind/name` or a range of addresses, that is within that of
    a flow: of pods all or nothing."""
    if isinstance(peer, AnyPeer) or peer.key == end:
        return ALL_ADDRESSES
    if "/" in end:
        return AddressSet()
    if isinstance(peer, AddressPeer):
        return peer.addresses
    if isinstance(peer, PodsPeer) and peer.workload.host_network:
        return AddressSet.of(*peer.workload.node_addresses)
    return AddressSet()
