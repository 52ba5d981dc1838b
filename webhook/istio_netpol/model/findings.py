"""Findings: what is wrong or worth knowing, and the policies that mend it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.failures import Failure, TooMuchError
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.verdicts import Verdict


class Severity(StrEnum):
    """Errors decide exit codes and denials; warnings and infos never do."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Issue(StrEnum):
    """Rule ids of findings that are not a denied flow."""

    JWKS_UNRESOLVABLE = "jwks-unresolvable"
    HOST_UNRESOLVABLE = "host-unresolvable"
    JWKS_HOST_REFUSED = "jwks-host-refused"
    ADDRESS_REFUSED = "address-refused"
    UNKNOWN_DESTINATION = "unknown-destination"
    BROAD_POLICY = "broad-policy"
    NEEDLESS_POLICY = "needless-policy"
    OPEN_NAMESPACE = "open-namespace"
    IN_POD_PORT = "in-pod-port"
    IP_BLOCK_FOR_PODS = "ip-block-for-pods"
    CONSENT_MISSING = "consent-missing"
    FOREIGN_ROUTING = "foreign-routing"
    POLICY_SELECTS_NOTHING = "policy-selects-nothing"
    TUNNEL_PORT = "tunnel-port"
    IMPACT = "impact"
    APPLY_ORDER = "apply-order"
    NOT_JUDGED = "not-judged"
    REMOVED_API = "removed-api"
    TIER_UNDECIDED = "tier-undecided"
    POLICY_NOT_READ = "policy-not-read"
    ACCEPTANCE = "acceptance"
    POLICY_REFUSED = "policy-refused"
    UNCOVERED_WORKLOAD = "uncovered-workload"


RuleId = FlowKind | Issue


class Finding(Struct, frozen=True, eq=False):
    """One thing to tell a person. `flow` and `verdict` are None for findings about no connection; `failure`
    is there where an error of our own kept something from being judged."""

    rule: RuleId
    severity: Severity
    object: ObjectRef
    message: str
    flow: RequiredFlow | None = None
    verdict: Verdict | None = None
    remedy: tuple[NetworkPolicy, ...] = ()
    field: str = ""
    failure: Failure | None = None

    @property
    def told_of(self) -> ObjectRef:
        """The object under which tools that show a namespace at a time tell the finding. For an object
        without a namespace, such as a webhook configuration, it is the pods that are called for it."""
        called = self.flow.destination if self.flow else None
        if self.object.namespace or not isinstance(called, PodsPeer):
            return self.object
        return called.workload.ref

    @property
    def asks_too_much(self) -> bool:
        """Whether the object asks for more than one object may. Then its own author can mend it."""
        return self.rule is Issue.NOT_JUDGED and self.failure is None

    @property
    def narrows(self) -> bool:
        """Whether the remedy takes the place of the object itself, which opens too much."""
        return any(policy.ref.key == self.object.key for policy in self.remedy)

    def denied_by(self, direction: Direction) -> tuple[str, ...]:
        """`namespace/name` of the policies that isolate this side while none allows, or `Kind/name` of those
        of a tier that deny it; empty where the side is open, or it can't be told."""
        if self.verdict is None:
            return ()
        side = self.verdict.side(direction)
        if not side.is_denied:
            return ()
        denying = {ref.policy.key for ref in side.denied_by} or {policy.key for policy in side.isolated_by}
        return tuple(sorted(denying))

    @property
    def sort_key(self) -> tuple[str, str, str, str, tuple[str | int, ...], str, str]:
        ref = self.object
        flow = self.flow.sort_key if self.flow else ()
        return (ref.namespace, ref.kind, ref.name, self.rule, flow, self.field, self.message)


def not_judged(ref: ObjectRef, failure: Failure, flow: RequiredFlow | None = None) -> Finding:
    """The finding for an object, or for one of its flows, where an error of our own was contained."""
    message = f"{ref}: could not be judged: {failure}"
    return Finding(Issue.NOT_JUDGED, Severity.ERROR, ref, message, flow, failure=failure)


def beyond_limit(ref: ObjectRef, error: TooMuchError) -> Finding:
    """The finding for an object that asks for more than one object may."""
    message = (
        f"{ref}: asks for {error.asked}, as many as {error.limit} lets one object ask for; the rest is not "
        "judged, and nothing is opened for it: make several objects of it, or raise the limit"
    )
    return Finding(Issue.NOT_JUDGED, Severity.ERROR, ref, message)


def more_findings(ref: ObjectRef, count: int) -> Finding:
    """The finding that stands for those of one rule on one object that are not listed."""
    message = f"{ref}: {count:,} more findings like these are not listed (limits.findingsPerObject)"
    return Finding(Issue.UNKNOWN_DESTINATION, Severity.WARNING, ref, message)
