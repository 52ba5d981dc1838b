"""Words the trouble of required flows as findings, with the policies that mend it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from istio_netpol.analysis import denial_wording
from istio_netpol.analysis.flow_verdicts import FlowJudge, HostTrouble
from istio_netpol.model.connections import Protocol
from istio_netpol.model.failures import NOT_CONTAINED, Failure
from istio_netpol.model.findings import Finding, Issue, RuleId, Severity, not_judged
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.verdicts import Judged
from istio_netpol.remedies.plan import DeniedFlow, PolicyPlan
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import Authority

DISPENSABLE = frozenset({FlowKind.SCRAPE, FlowKind.TRACING})
"""Flows whose loss costs observability, not traffic: warnings."""


class FindingsWriter:
    """Collects the trouble of one analysis and words it as findings.

    Remedies are worked out together, so that the policies of the findings are the same that `generate`
    prints. `authority` says in whose name policies may be written, `proposals` whether also for what is
    denied by assumption only.
    """

    def __init__(self, judge: FlowJudge, authority: Authority, *, proposals: bool = False) -> None:
        self._judge = judge
        self._proposals = proposals
        self._plan = PolicyPlan(judge.snapshot, judge.gate.blocks, authority, known=judge.known)
        self._denied: list[DeniedFlow] = []
        self._assumed: list[DeniedFlow] = []
        self._others: list[Finding] = []
        self.judged: list[Judged] = []
        self.unknown: list[RequiredFlow] = []

    @property
    def denied(self) -> tuple[RequiredFlow, ...]:
        """The flows that are denied so far, whatever is assumed."""
        return tuple(denied.judged.flow for denied in self._denied)

    def take(self, flow: RequiredFlow) -> None:
        """Judges one flow and keeps the trouble that it has. An error on the way becomes a finding about
        this flow alone."""
        try:
            for outcome in self._judge.resolved(flow):
                self._take(flow, outcome)
        except NOT_CONTAINED:
            raise
        except Exception as error:
            self._others.append(not_judged(flow.object, Failure.of("verdict", error), flow))

    def _take(self, flow: RequiredFlow, outcome: Judged | HostTrouble) -> None:
        refused = isinstance(outcome, HostTrouble) and outcome.refused
        if isinstance(outcome, HostTrouble):
            self.unknown.append(flow)
            if outcome.failure is not None:
                self._others.append(not_judged(flow.object, outcome.failure, flow))
                return
            self._others.append(_host_finding(outcome))
            # The flow of the trouble names no address, so that no policy can be written for it.
            outcome = Judged(outcome.flow, self._judge.verdict(outcome.flow))
        self.judged.append(outcome)
        if self._judge.is_assumed(outcome):
            self._assumed.append(self._plan.take(outcome) if self._proposals else self._plan.refuse(outcome))
        elif outcome.verdict.is_undecided and not refused:
            self.unknown.append(flow)
            self._others.append(_undecided_finding(outcome))
        elif not outcome.verdict.allowed:
            # A refused address may stand in the flow itself: nothing is drafted that would open it.
            self._denied.append(self._plan.refuse(outcome) if refused else self._plan.take(outcome))
        elif outcome.verdict.egress.by_ip_block or outcome.verdict.ingress.by_ip_block:
            self._others.append(_ip_block_finding(outcome))

    def policies(self) -> tuple[NetworkPolicy, ...]:
        """The policies that may be written: without those that only a consent would permit."""
        return self._plan.policies()

    def findings(self) -> list[Finding]:
        """All findings so far, in no order."""
        denied = [
            _told(
                self._plan.completed(flow),
                partial(
                    _denied_finding,
                    has_substitute=self._has_substitute(flow),
                    snapshot=self._judge.snapshot,
                ),
            )
            for flow in self._denied
        ]
        assumed = [_told(self._plan.completed(flow), _assumed_finding) for flow in self._assumed]
        return [*self._others, *denied, *assumed]

    def _has_substitute(self, denied: DeniedFlow) -> bool:
        """Whether the same is open over UDP: clients ask DNS by TCP only for what a datagram does not hold.
        Istio's and Kyma's own policies are like this."""
        flow = denied.judged.flow
        if flow.kind is not FlowKind.DNS or flow.protocol is not Protocol.TCP:
            return False
        return self._judge.verdict(replace(flow, protocol=Protocol.UDP)).allowed


def _told(denied: DeniedFlow, finding_of: Callable[[DeniedFlow], Finding]) -> Finding:
    """The finding about a denied flow. An error while its policies are written becomes a finding about this
    flow alone."""
    try:
        return finding_of(denied)
    except NOT_CONTAINED:
        raise
    except Exception as error:
        flow = denied.judged.flow
        return not_judged(flow.object, Failure.of("policy writer", error), flow)


def _denied_finding(denied: DeniedFlow, has_substitute: bool, snapshot: Snapshot) -> Finding:
    judged, flow = denied.judged, denied.judged.flow
    rule: RuleId
    if denied.withheld:
        rule, severity = Issue.CONSENT_MISSING, Severity.WARNING
        message = denial_wording.consent_missing(judged)
    else:
        rule, severity = flow.kind, Severity.ERROR
        message = denial_wording.denial(judged)
    if has_substitute:
        message += denial_wording.DNS_BY_UDP
    message += _as_plugin_sees(judged, snapshot) + denial_wording.opens_to_anywhere(denied, snapshot)
    if has_substitute or flow.dispensable or flow.kind in DISPENSABLE:
        severity = Severity.WARNING
    message += denial_wording.unmendable(denied.unmendable)
    return Finding(rule, severity, flow.object, message, flow, judged.verdict, denied.remedies, flow.field)


def _as_plugin_sees(judged: Judged, snapshot: Snapshot) -> str:
    """How the network plugin judges the flow, where that decides."""
    flow = judged.flow
    ends, port = (flow.source, flow.destination), (flow.protocol, flow.port)
    sides = ((direction, judged.verdict.side(direction)) for direction in Direction)
    told = [
        denial_wording.as_plugin_sees(snapshot, ends, port, *side) for side in sides if not side[1].allowed
    ]
    return "".join(f"; {sentence}" for sentence in told if sentence)


def _assumed_finding(denied: DeniedFlow) -> Finding:
    """The warning of a flow that is denied by assumption; a remedy is a proposal, and there if asked for."""
    judged, flow = denied.judged, denied.judged.flow
    message = denial_wording.only_assumed(judged)
    return Finding(
        flow.kind, Severity.WARNING, flow.object, message, flow, judged.verdict, denied.remedies, flow.field
    )


def _host_finding(trouble: HostTrouble) -> Finding:
    flow = trouble.flow
    is_jwks = flow.kind is FlowKind.ISTIOD_TO_JWKS
    if trouble.refused:
        message = f"{flow.object}: {trouble.sentence}; no policy is written for it"
        rule = Issue.JWKS_HOST_REFUSED if is_jwks else Issue.ADDRESS_REFUSED
        return Finding(rule, Severity.ERROR, flow.object, message, flow, field=flow.field)
    message = (
        f"{flow.object}: {flow.destination} does not resolve ({trouble.sentence}), so its addresses can't be "
        f"compared with the policies; name them with --address {flow.destination}=IP"
    )
    rule = Issue.JWKS_UNRESOLVABLE if is_jwks else Issue.HOST_UNRESOLVABLE
    return Finding(rule, Severity.WARNING, flow.object, message, flow, field=flow.field)


def _undecided_finding(judged: Judged) -> Finding:
    flow, message = judged.flow, denial_wording.undecided(judged)
    is_left_unread = judged.verdict.egress.perhaps_opened_by
    rule = Issue.POLICY_NOT_READ if is_left_unread else Issue.TIER_UNDECIDED
    return Finding(rule, Severity.WARNING, flow.object, message, flow, judged.verdict)


def _ip_block_finding(judged: Judged) -> Finding:
    flow = judged.flow
    message = denial_wording.relies_on_ip_block(judged)
    return Finding(Issue.IP_BLOCK_FOR_PODS, Severity.WARNING, flow.object, message, flow, judged.verdict)
