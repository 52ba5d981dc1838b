"""The part of a list of connections that somebody asks for."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from istio_netpol.analysis.arguments.peer_filter import EVERY_PEER, PeerFilter
from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.analysis.listing.connections import listed_connections
from istio_netpol.analysis.listing.exposure import Exposure, exposures
from istio_netpol.analysis.results import AllowedConnection
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot


class AskedList(Struct, frozen=True):
    """The connections of one input (see `as_listed`) by their ends; `focus` is what reports are about."""

    name: str
    snapshot: Snapshot
    settings: Settings
    focus: Focus = WHOLE
    sources: PeerFilter = EVERY_PEER
    destinations: PeerFilter = EVERY_PEER

    def connections(self) -> Iterator[AllowedConnection]:
        """Those that are asked for, one at a time."""
        return (
            connection
            for connection in listed_connections(self.snapshot, self.settings)
            if self.focus.concerns_connection(connection)
            and self.sources.has(connection.source)
            and self.destinations.has(connection.destination)
        )

    def exposures(self) -> tuple[Exposure, ...]:
        """Who can reach the workloads that are asked for."""
        workloads = {
            workload.peer_name
            for workload in self.snapshot.every_workload()
            if self.focus.concerns_name(workload.peer_name) and self.destinations.has(workload.peer_name)
        }
        found = listed_connections(self.snapshot, self.settings)
        return exposures((row for row in found if row.destination in workloads), workloads)
