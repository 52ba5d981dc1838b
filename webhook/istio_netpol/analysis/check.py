"""Every required flow of a snapshot, judged: the findings behind `istio-netpol check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from istio_netpol.analysis import wording
from istio_netpol.analysis.flow_table import FlowTable
from istio_netpol.analysis.hosts import HostGate
from istio_netpol.analysis.judge import FlowJudge, HostTrouble
from istio_netpol.analysis.lint import lint
from istio_netpol.analysis.openings import Opening, Reach, openings_of
from istio_netpol.analysis.remedies import PolicyWriter
from istio_netpol.analysis.results import Judged, Report, Summary
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.snapshot import Snapshot

DISPENSABLE = frozenset({FlowKind.SCRAPE, FlowKind.TRACING})
"""Flows whose loss costs observability, not traffic: warnings."""


@dataclass(slots=True)
class _Tally:
    findings: list[Finding] = field(default_factory=list)
    flows: int = 0
    denied: int = 0
    unknown: int = 0


def check(snapshot: Snapshot, settings: Settings, resolver: Resolver, skipped: int = 0) -> Report:
    """Judges every required flow. `skipped` is the number of objects that no decoder knows; it is only reported."""
    table = FlowTable.of(snapshot, settings)
    judge = judge_of(table, resolver)
    tally = _Tally()
    for flow in table.flows():
        tally.flows += 1
        _judge_flow(flow, judge, tally)
    unnamed = list(table.findings())
    tally.unknown += sum(1 for finding in unnamed if finding.rule is Issue.UNKNOWN_DESTINATION)
    findings = sorted([*tally.findings, *unnamed, *lint(snapshot)], key=lambda finding: finding.sort_key)
    summary = Summary(snapshot.object_count, tally.flows, tally.denied, tally.unknown, skipped)
    return Report(tuple(findings), summary, table.view.assumptions)


def judge_of(table: FlowTable, resolver: Resolver) -> FlowJudge:
    """A judge for one analysis of a table, with a fresh count of the addresses that namespaces bring."""
    return FlowJudge(table.view, gate_of(table, resolver))


def gate_of(table: FlowTable, resolver: Resolver) -> HostGate:
    """A host gate that refuses the cluster's own addresses."""
    return HostGate(resolver, table.settings.hosts, table.cluster_addresses)


def _judge_flow(flow: RequiredFlow, judge: FlowJudge, tally: _Tally) -> None:
    outcome = judge.resolved(flow)
    if isinstance(outcome, HostTrouble):
        tally.unknown += 1
        tally.findings.append(trouble_finding(outcome))
        surely = judge.verdict(flow)
        if surely.allowed:
            return
        outcome = Judged(flow, surely)
    if not outcome.verdict.allowed:
        tally.denied += 1
        tally.findings.append(denied_finding(outcome, judge))
    elif outcome.verdict.egress.by_ip_block or outcome.verdict.ingress.by_ip_block:
        message = wording.relies_on_ip_block(outcome)
        tally.findings.append(
            Finding(Issue.IP_BLOCK_FOR_PODS, Severity.WARNING, flow.object, message, outcome.flow, outcome.verdict)
        )


def trouble_finding(trouble: HostTrouble) -> Finding:
    """A host that did not resolve, or that must not be opened."""
    flow = trouble.flow
    if trouble.refused:
        message = f"{flow.object}: {trouble.sentence}; no policy is written for it"
        return Finding(Issue.JWKS_HOST_REFUSED, Severity.ERROR, flow.object, message, flow, field=flow.field)
    message = (
        f"{flow.object}: {flow.destination} does not resolve ({trouble.sentence}), so its addresses can't be compared with the policies; "
        f"name them with --address {flow.destination}=IP"
    )
    return Finding(Issue.JWKS_UNRESOLVABLE, Severity.WARNING, flow.object, message, flow, field=flow.field)


def denied_finding(judged: Judged, judge: FlowJudge, reach: Reach | None = None) -> Finding:
    """The finding for one denied flow, with the policies that whoever `reach` stands for may add."""
    flow = judged.flow
    reach = reach or Reach(judge.view.settings, tenant=False)
    openings = list(openings_of(judged))
    withheld = not flow.consented and any(not reach.may_open(flow, each.direction, each.subject) for each in openings)
    writer = PolicyWriter(judge.view.snapshot, judge.gate)
    for opening in openings if withheld else _permitted(openings, reach):
        writer.add(opening)
    if withheld:
        rule, severity, message = Issue.CONSENT_MISSING, Severity.WARNING, wording.consent_missing(judged)
    else:
        severity = Severity.WARNING if flow.kind in DISPENSABLE else Severity.ERROR
        rule, message = flow.kind, wording.denial(judged)  # type: ignore[assignment]
    message += wording.unmendable(writer.unmendable)
    return Finding(rule, severity, flow.object, message, flow, judged.verdict, writer.policies(), flow.field)


def _permitted(openings: Iterable[Opening], reach: Reach) -> Iterator[Opening]:
    return (each for each in openings if reach.may_open(each.flow, each.direction, each.subject))
