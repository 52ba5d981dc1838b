"""The ports of the pure core through which generated policies are written, read and tried on a cluster.
`state.source` has the one for objects, `resolution` the one for host names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from istio_netpol.model.policies import NetworkPolicy


class StoreResult(Struct, frozen=True):
    """The result for one policy: `written` (also where it was there already), and then `policy` is what is
    stored, or `refused` with a sentence that says why."""

    policy: NetworkPolicy
    written: bool
    refused: str = ""


class PolicyStore(Protocol):
    """Stores generated policies."""

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        """Stores each policy, never over an object that istio-netpol does not own; one result a policy, in
        order; never raises. `asker` is the namespace of the object for which they are written, empty where
        they are for several. The rate of writes is counted by it."""
        ...


class PolicyReader(Protocol):
    """Which policies there are at this moment, where a source may lag behind."""

    def read(self, namespace: str) -> tuple[NetworkPolicy, ...] | None:
        """The policies of a namespace, None where that can't be told in time; never raises."""
        ...


class DryRunOutcome(StrEnum):
    """`NOT_TRIED` where no answer about the policy itself could be had."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_TRIED = "not tried"


class Tried(Struct, frozen=True):
    """A policy, and the answer to it. `by` names who refuses it, a ValidatingAdmissionPolicy or a webhook, if
    the answer says so; `message` is the API server's."""

    policy: NetworkPolicy
    outcome: DryRunOutcome
    by: str = ""
    message: str = ""
