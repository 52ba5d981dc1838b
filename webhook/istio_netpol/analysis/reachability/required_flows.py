"""The required flows of one state of a cluster, the allowed ones too, as `check` judges them.

With each comes what it passes besides network policies: Sidecars, mutual TLS, AuthorizationPolicies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis import denial_wording
from istio_netpol.analysis.explain.gates import Passage, gates
from istio_netpol.analysis.explain.policy_gates import POLICIES
from istio_netpol.analysis.flow_verdicts import FlowJudge, HostTrouble
from istio_netpol.analysis.generate import connection
from istio_netpol.analysis.results import Gate
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.failures import NOT_CONTAINED
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKey, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.verdicts import Judged, Verdict


class Way(Struct, frozen=True):
    """The gates where a connection begins, and those where it ends."""

    outset: tuple[Gate, ...] = ()
    arrival: tuple[Gate, ...] = ()


NO_GATES = Way()


class Passages:
    """The ways of the connections of one cluster, each worked out once: policies do not change them."""

    def __init__(self) -> None:
        self._known: dict[object, Way] = {}

    def of(self, flow: RequiredFlow, table: FlowTable) -> Way:
        """The gates of a flow. An error of our own here is left out, since gates decide no verdict."""
        if not isinstance(flow.source, PodsPeer) and not isinstance(flow.destination, PodsPeer):
            return NO_GATES
        key = connection(flow)
        found = self._known.get(key)
        if found is None:
            try:
                found = _way(flow, table)
            except NOT_CONTAINED:
                raise
            except Exception:
                found = NO_GATES
            self._known[key] = found
        return found


def _way(flow: RequiredFlow, table: FlowTable) -> Way:
    passage = Passage(flow.source, flow.destination, flow.protocol, flow.port)
    found = gates(table.snapshot, table.view, passage)
    first = next((place for place, gate in enumerate(found) if gate.gate in POLICIES), len(found))
    outset, arrival = (
        tuple(gate for gate in part if gate.gate not in POLICIES) for part in (found[:first], found[first:])
    )
    return Way(outset, arrival)


class FlowOutcome(StrEnum):
    """What there is to say of a required flow."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


class JudgedFlow(Struct, frozen=True):
    """A required flow with both sides' verdicts. `doubt` says why it could not be judged. `finding` is what
    `check` says of it, with the policies that would open it. `way` has what else it has to pass."""

    flow: RequiredFlow
    verdict: Verdict
    outcome: FlowOutcome
    doubt: str = ""
    finding: Finding | None = None
    way: Way = NO_GATES

    @property
    def is_warning(self) -> bool:
        """Whether its denial costs no traffic, or waits for a consent."""
        return self.finding is not None and self.finding.severity is not Severity.ERROR


def judged_flows(
    table: FlowTable, judge: FlowJudge, findings: Mapping[FlowKey, Finding], passages: Passages
) -> Iterator[JudgedFlow]:
    """Every required flow, in the order of `check`; several where a host stands for pods of the cluster."""
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        for outcome in judge.resolved(flow):
            judged = _judged(outcome, judge)
            found = findings.get(judged.flow.key)
            yield replace(judged, finding=found, way=passages.of(judged.flow, table))


def findings_of_flows(findings: tuple[Finding, ...]) -> dict[FlowKey, Finding]:
    """The findings of denied flows by their flows."""
    return {
        finding.flow.key: finding
        for finding in findings
        if finding.flow is not None
        and (isinstance(finding.rule, FlowKind) or finding.rule is Issue.CONSENT_MISSING)
    }


def _judged(outcome: Judged | HostTrouble, judge: FlowJudge) -> JudgedFlow:
    if isinstance(outcome, HostTrouble):
        if outcome.failure is not None:
            return JudgedFlow(outcome.flow, Verdict(), FlowOutcome.UNKNOWN, outcome.sentence)
        verdict = judge.verdict(outcome.flow)
        found = FlowOutcome.DENIED if judge.allows(outcome) is False else FlowOutcome.UNKNOWN
        return JudgedFlow(outcome.flow, verdict, found, outcome.sentence)
    flow, verdict = outcome.flow, outcome.verdict
    if judge.is_assumed(outcome):
        return JudgedFlow(flow, verdict, FlowOutcome.UNKNOWN, denial_wording.only_assumed(outcome))
    if verdict.is_undecided:
        return JudgedFlow(flow, verdict, FlowOutcome.UNKNOWN, denial_wording.undecided(outcome))
    return JudgedFlow(flow, verdict, FlowOutcome.ALLOWED if verdict.allowed else FlowOutcome.DENIED)
