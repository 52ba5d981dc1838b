"""Every allowed connection between workloads and address ranges."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.results import Connection
from istio_netpol.model.snapshot import Snapshot
from istio_netpol.netpol.connectivity import connections as pairs


def connections(snapshot: Snapshot) -> Iterator[Connection]:
    """The connections, sorted by source and destination, one at a time."""
    for source, destination, ports in pairs(snapshot):
        yield Connection(source, destination, ports)
