"""What the analyses return; reports print these values."""

from __future__ import annotations

from dataclasses import dataclass

from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a check. `unknown` are flows that could not be judged (unresolved hosts, missing
    destinations)."""

    objects: int = 0
    flows: int = 0
    denied: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, order=True)
class NotRead:
    """How many objects of a kind are in the input and were not read, because no rule knows the kind."""

    api_version: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of a check, sorted, what it assumed, and what it did not read, both sorted too."""

    findings: tuple[Finding, ...]
    summary: Summary
    assumptions: tuple[Assumption, ...] = ()
    not_read: tuple[NotRead, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """What may flow from one peer to another: `source` and `destination` are `namespace/Kind/name` or an
    address range."""

    source: str
    destination: str
    ports: ConnectionSet


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation: a fact, and whether it lets the connection pass (None: neither)."""

    text: str
    passes: bool | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a connection is allowed, why, and the smallest policies that would allow it where it is not."""

    source: str
    destination: str
    allowed: bool
    steps: tuple[Step, ...]
    remedy: tuple[NetworkPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Connections and required flows gained and lost between two inputs."""

    gained: tuple[Connection, ...]
    lost: tuple[Connection, ...]
    flows_gained: tuple[Finding, ...]
    flows_lost: tuple[Finding, ...]
