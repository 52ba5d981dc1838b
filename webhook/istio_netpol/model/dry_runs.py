"""The answer of a cluster's admission to a policy that is tried and not stored."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.policies import NetworkPolicy


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
