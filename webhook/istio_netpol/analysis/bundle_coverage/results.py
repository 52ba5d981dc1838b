"""What is found of one side of one workload that a bundle isolates, and of all of them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef


class SideState(StrEnum):
    """Whether policies leave a denied side what it needs, as far as that is known."""

    COVERED = "covered"
    PARTLY = "partly covered"
    UNCOVERED = "not covered"


class Listening(Struct, frozen=True):
    """A port on which pods listen, the Services that lead to it, and whether anybody may still connect."""

    port: int
    protocol: Protocol
    services: tuple[str, ...]
    is_open: bool

    def __str__(self) -> str:
        return f"{self.protocol} {self.port}"


class WebhookCaller(Struct, frozen=True):
    """An object that has the API server call a port. `fails_closed` says that requests are refused without
    an answer."""

    object: ObjectRef
    port: int
    fails_closed: bool
    allowed: bool


class IsolatedSide(Struct, frozen=True):
    """One direction of a workload that the bundle isolates.

    `loses` is what is cut, in words. `policies` are those besides the bundle's that isolate this side, by
    which it is denied already if `is_denied_anyway`. `remedy` says how to open it; empty where nothing is
    lost.
    """

    workload: ObjectRef
    direction: Direction
    state: SideState
    listens: tuple[Listening, ...] = ()
    callers: tuple[WebhookCaller, ...] = ()
    loses: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    is_denied_anyway: bool = False
    remedy: str = ""


class ExaminedSide(Struct, frozen=True):
    """A side, with the policies that open what is known of its needs. `is_told` says that findings about
    required connections tell of all that it loses, `is_minor` that this is metrics alone."""

    side: IsolatedSide
    policies: tuple[NetworkPolicy, ...] = ()
    is_told: bool = False
    is_minor: bool = False


class Coverage(Struct, frozen=True):
    """All sides that the bundle isolates in `namespaces`, sorted; of those in `empty` the input has no
    workload. `findings` are the errors and warnings that follow, `flows` the required connections that were
    judged."""

    namespaces: tuple[str, ...]
    empty: tuple[str, ...]
    sides: tuple[IsolatedSide, ...]
    flows: int
    findings: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...] = ()

    @property
    def workloads(self) -> int:
        """How many workloads the bundle isolates, in one direction or both."""
        return len({side.workload.key for side in self.sides})

    @property
    def cut(self) -> tuple[IsolatedSide, ...]:
        """The sides that lose something."""
        return tuple(side for side in self.sides if side.state is not SideState.COVERED)
