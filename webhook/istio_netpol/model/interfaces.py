"""The seams of the pure core: where objects come from and where generated policies go. Host names: see
`resolution`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SourceState:
    """The newest good snapshot. `problems` say why a newer one could not be read; `age` is seconds since
    the source was last seen good."""

    snapshot: Snapshot
    synced: bool
    age: float
    problems: tuple[str, ...] = ()


class ClusterSource(Protocol):
    """Where the objects of a cluster come from: a folder, the Kubernetes API."""

    def state(self) -> SourceState:
        """Returns at once, from memory; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one policy: `written` (also where it was there already), and then `policy` is what is
    stored, or `refused` with a sentence that says why."""

    policy: NetworkPolicy
    written: bool
    refused: str = ""


class PolicyStore(Protocol):
    """Where generated policies go."""

    def write(self, policies: Sequence[NetworkPolicy]) -> tuple[StoreResult, ...]:
        """Stores each policy, never over an object that istio-netpol does not own; one result a policy, in
        order; never raises."""
        ...


class PolicyReader(Protocol):
    """Which policies there are at this moment, where a source may lag behind."""

    def read(self, namespace: str) -> tuple[NetworkPolicy, ...] | None:
        """The policies of a namespace, None where that can't be told in time; never raises."""
        ...
