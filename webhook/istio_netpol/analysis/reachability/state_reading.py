"""One state of a cluster as it is read, before its peers have the numbers that all states share.

It has the required flows, the allowed ones too, judged as `check` does; what each passes besides network
policies: Sidecars, mutual TLS, AuthorizationPolicies; and the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.analysis import denial_wording
from istio_netpol.analysis.check import check_table, judge_of, one_per_host
from istio_netpol.analysis.explain.gates import Passage, gates
from istio_netpol.analysis.explain.policy_gates import POLICIES
from istio_netpol.analysis.flow_verdicts import FlowJudge, HostTrouble
from istio_netpol.analysis.generate import packets_key
from istio_netpol.analysis.listing import as_listed
from istio_netpol.analysis.readiness.deny_all import assume_deny_all, told_of_today
from istio_netpol.analysis.results import Gate, Report
from istio_netpol.analysis.undeclared import undeclared
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.failures import NOT_CONTAINED
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKey, FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged, Verdict
from istio_netpol.netpol.cluster_masks import ClusterMasks
from istio_netpol.state.snapshot import Snapshot


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
        key = packets_key(flow)
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


def _judged_flows(
    table: FlowTable, judge: FlowJudge, findings: Mapping[FlowKey, Finding], passages: Passages
) -> Iterator[JudgedFlow]:
    """Every required flow, in the order of `check`; several where a host stands for pods of the cluster."""
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        for outcome in judge.resolved(flow):
            judged = _judged(outcome, judge)
            found = findings.get(judged.flow.key)
            yield replace(judged, finding=found, way=passages.of(judged.flow, table))


def _findings_of_flows(findings: tuple[Finding, ...]) -> dict[FlowKey, Finding]:
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


class Given(Struct, frozen=True):
    """What was read of a cluster. `skipped` counts objects of kinds that no decoder knows; `there` is what
    the cluster has without files that are to be applied; `assumed` and `findings` are what there is to say
    of the reading itself."""

    snapshot: Snapshot
    skipped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    there: Snapshot | None = None
    assumed: tuple[Assumption, ...] = ()
    findings: tuple[Finding, ...] = ()


class StateReading:
    """A state as the engine has it: its workloads in the order of `cluster`, its flows and its report."""

    def __init__(
        self, given: Given, settings: Settings, resolver: Resolver, passages: Passages, *, deny_all: bool
    ) -> None:
        stored = assume_deny_all(given.snapshot) if deny_all else given.snapshot
        table = FlowTable.of(stored, settings)
        judge = judge_of(table, resolver)
        report = check_table(table, judge, given.skipped)
        if deny_all:
            report = told_of_today(report, given.snapshot, given.there or given.snapshot, settings)
        told = _findings_of_flows(report.findings)
        self.flows = tuple(_judged_flows(table, judge, told, passages))
        self.report = _completed(report, table, given)
        self.snapshot = as_listed(stored, settings)
        self.settings = settings

    @cached_property
    def cluster(self) -> ClusterMasks:
        return ClusterMasks(self.snapshot)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The workloads by position."""
        return tuple(workload.peer_name for workload in self.cluster.workloads)

    def lacks(self, peer: Peer) -> bool:
        """Whether the peer is none of the workloads."""
        return not isinstance(peer, PodsPeer) or peer.workload.peer_name not in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)


def _completed(report: Report, table: FlowTable, given: Given) -> Report:
    """The report as `check` prints it."""
    joined = sorted(one_per_host(report.findings), key=lambda finding: finding.sort_key)
    whole = replace(report, findings=tuple(joined), undeclared=undeclared(table))
    return whole.with_input(given.assumed, given.findings)
