"""The seam of the pure core where objects come from."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from istio_netpol.state.snapshot import Snapshot


class SourceState(Struct, frozen=True):
    """The newest good snapshot. `problems` say why a newer one could not be read; `age` is seconds since
    the source was last seen good; `remarks` say what was left out of the snapshot, and what was assumed."""

    snapshot: Snapshot
    synced: bool
    age: float
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class ClusterSource(Protocol):
    """Where the objects of a cluster come from: a folder, the Kubernetes API."""

    def state(self) -> SourceState:
        """Returns at once, from memory; never raises."""
        ...
