"""Every allowed connection between workloads and address ranges."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.results import Connection
from istio_netpol.istio.view.injected_pods import as_injected
from istio_netpol.model.settings import Settings
from istio_netpol.netpol.connectivity import connections as pairs
from istio_netpol.state.snapshot import Snapshot


def connections(snapshot: Snapshot, settings: Settings, *, with_ipv6: bool = False) -> Iterator[Connection]:
    """The connections, sorted by source and destination, one at a time; see `netpol.connectivity`."""
    for source, destination, ports in pairs(as_injected(snapshot, settings.mesh), with_ipv6=with_ipv6):
        yield Connection(source, destination, ports)
