"""The proof of a bundle, with what it meets in a cluster and what came of trying it there, for people and as
JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from istio_netpol.analysis.bundle_coverage.results import Coverage, IsolatedSide, SideState
from istio_netpol.analysis.bundle_proof.bundle_report import BundleReport, PolicyChanges
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.policies import Direction
from istio_netpol.model.policy_store import DryRunOutcome, Tried
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.verdicts import Judged
from istio_netpol.printable import visible
from istio_netpol.report.json_format import (
    API_VERSION,
    dump,
    finding_documents,
    flow_shapes,
    summary_document,
)
from istio_netpol.report.junit import junit
from istio_netpol.report.palette import PLAIN, Palette
from istio_netpol.report.places import plural
from istio_netpol.report.remedies import distinct_policies
from istio_netpol.report.rules import RulePages
from istio_netpol.report.sarif import sarif
from istio_netpol.report.text import closing_line


def json_bundle(proof: BundleReport) -> str:
    """The `BundleReport` document: a `Report` with the flows and the difference from the base."""
    return dump(
        {
            "apiVersion": API_VERSION,
            "kind": "BundleReport",
            "findings": finding_documents(proof.report.findings),
            "flows": [
                {
                    "rule": str(flow.flow.kind),
                    "flow": shape,
                    "allowed": flow.verdict.allowed,
                    "egress": _side(flow, Direction.EGRESS),
                    "ingress": _side(flow, Direction.INGRESS),
                }
                for flow in proof.flows
                for shape in flow_shapes(flow.flow)
            ],
            "difference": {name: list(keys) for name, keys in _changes(proof.changes)},
            "summary": summary_document(proof.report.summary),
            **({"coverage": _coverage_document(proof.coverage)} if proof.coverage else {}),
            **({"dryRun": _dry_run_documents(proof.dry_run)} if proof.dry_run else {}),
        }
    )


def sarif_bundle(proof: BundleReport, pages: RulePages = RulePages()) -> str:  # noqa: B008 - it is frozen
    """The findings as SARIF."""
    return sarif(proof.report, pages)


def junit_bundle(proof: BundleReport) -> str:
    """The findings as JUnit XML."""
    return junit(proof.report)


def text_bundle(proof: BundleReport, palette: Palette = PLAIN) -> str:
    """The whole document, ending in a line break."""
    return "".join(f"{line}\n" for line in _lines(proof, palette))


def _lines(proof: BundleReport, palette: Palette) -> Iterator[str]:
    yield palette.paint("Required flows:", palette.heading)
    for flow in proof.flows:
        yield from _flow(flow, palette)
    yield ""
    if proof.coverage:
        yield from _coverage_lines(proof.coverage, palette)
        yield ""
    if proof.dry_run:
        yield from _dry_run_lines(proof.dry_run, palette)
        yield ""
    if proof.report.findings:
        yield palette.paint("Findings:", palette.heading)
        for finding in proof.report.findings:
            yield _finding(finding, palette)
        yield ""
    policies = distinct_policies(proof.report.findings)
    if policies:
        yield palette.paint("As policies:", palette.heading)
        yield ""
        yield from to_yaml(policies).rstrip("\n").split("\n")
        yield ""
    yield palette.paint("Difference from the base:", palette.heading)
    for name, keys in _changes(proof.changes):
        yield f"  {name}: {visible(', '.join(keys)) or 'none'}"
    yield ""
    if proof.report.assumptions:
        yield palette.paint("Assumed:", palette.heading)
        yield from (f"  - {visible(str(assumption))}" for assumption in proof.report.assumptions)
        yield ""
    yield closing_line(proof.report, palette)


def _flow(judged: Judged, palette: Palette) -> Iterator[str]:
    flow, allowed = judged.flow, judged.verdict.allowed
    verdict = palette.paint("allowed", palette.good) if allowed else palette.paint("DENIED ", palette.error)
    yield visible(
        f"  {verdict} {flow.kind}: {flow.source} -> {flow.destination}, {flow.protocol} {flow.port}"
    )
    for direction in Direction:
        names = _side(judged, direction)
        if names:
            yield visible(f"          {direction.lower()} by {', '.join(names)}")


def _finding(finding: Finding, palette: Palette) -> str:
    severity = palette.paint(finding.severity, palette.severity(finding.severity))
    return f"  {severity} {finding.rule}: {visible(finding.message)}"


def _side(judged: Judged, direction: Direction) -> list[str]:
    """The rules that allow on this side; empty where it is open, or denied."""
    return sorted(str(ref) for ref in judged.verdict.side(direction).allowed_by)


def _changes(changes: PolicyChanges) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "added", changes.added
    yield "changed", changes.changed
    yield "removed", changes.removed


def _coverage_lines(coverage: Coverage, palette: Palette) -> Iterator[str]:
    """The sides that lose a connection, and how many lose none."""
    yield palette.paint(f"Workloads of {', '.join(coverage.namespaces)} under the overlay:", palette.heading)
    for side in coverage.cut:
        yield from _isolated_side(side, palette)
    for namespace in coverage.empty:
        yield visible(f"  {namespace}: the input holds none of its workloads, so nothing is known about it")
    yield visible(f"  {_figures(coverage)}")


def _figures(coverage: Coverage) -> str:
    lose = len({side.workload.key for side in coverage.cut})
    flows = plural(coverage.flows, "required flow")
    verdict = f"{plural(lose, 'workload')} cut" if lose else "no known connection of theirs is cut"
    return f"{plural(coverage.workloads, 'workload')} and {flows} looked at: {verdict}"


def _isolated_side(side: IsolatedSide, palette: Palette) -> Iterator[str]:
    paint = palette.error if side.state is SideState.UNCOVERED else palette.warning
    title = f"{side.workload}, {side.direction.lower()}"
    yield f"  {palette.paint(side.state, paint)}: {visible(title)}"
    if side.listens:
        ports = ", ".join(f"{port}{' (closed)' if not port.is_open else ''}" for port in side.listens)
        yield visible(f"      listens on {ports}")
    elif side.direction is Direction.INGRESS:
        yield "      declares no port, and no Service leads to it"
    yield from (visible(f"      loses {lost}") for lost in side.loses)
    if side.is_denied_anyway:
        yield visible(f"      without the overlay too, by {', '.join(side.policies)}")


def _coverage_document(coverage: Coverage) -> JsonObject:
    """The value of `coverage` in a BundleReport."""
    return {
        "namespaces": list(coverage.namespaces),
        "namespacesWithoutWorkloads": list(coverage.empty),
        "sides": [_side_document(side) for side in coverage.sides],
        "assumed": [{"what": assumption.what, "why": assumption.why} for assumption in coverage.assumptions],
        "summary": {
            "workloads": coverage.workloads,
            "flows": coverage.flows,
            "covered": len(coverage.sides) - len(coverage.cut),
            "partlyCovered": sum(side.state is SideState.PARTLY for side in coverage.sides),
            "notCovered": sum(side.state is SideState.UNCOVERED for side in coverage.sides),
        },
    }


_STATES = {
    SideState.COVERED: "covered",
    SideState.PARTLY: "partlyCovered",
    SideState.UNCOVERED: "notCovered",
}


def _side_document(side: IsolatedSide) -> JsonObject:
    return {
        "workload": _object(side.workload),
        "direction": str(side.direction),
        "state": _STATES[side.state],
        "listens": [
            {
                "protocol": str(port.protocol),
                "port": port.port,
                "services": list(port.services),
                "open": port.is_open,
            }
            for port in side.listens
        ],
        "callers": [
            {
                "object": _object(caller.object),
                "port": caller.port,
                "failsClosed": caller.fails_closed,
                "allowed": caller.allowed,
            }
            for caller in side.callers
        ],
        "loses": list(side.loses),
        "otherPolicies": list(side.policies),
        "deniedAnyway": side.is_denied_anyway,
        "remedy": side.remedy,
    }


def _object(ref: ObjectRef) -> dict[str, str]:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def _dry_run_lines(tried: Sequence[Tried], palette: Palette) -> Iterator[str]:
    """The policies that are not accepted, and how many are accepted."""
    yield palette.paint("Dry run on the API server, where nothing is stored:", palette.heading)
    for trial in tried:
        if trial.outcome is not DryRunOutcome.ACCEPTED:
            by = f" by {trial.by}" if trial.by else ""
            outcome = palette.paint(trial.outcome, palette.error)
            yield f"  {outcome}{visible(by)}: {visible(trial.policy.key)}"
    accepted = sum(trial.outcome is DryRunOutcome.ACCEPTED for trial in tried)
    yield f"  {accepted} of {len(tried)} NetworkPolicies accepted"


_OUTCOMES = {
    DryRunOutcome.ACCEPTED: "accepted",
    DryRunOutcome.REFUSED: "refused",
    DryRunOutcome.NOT_TRIED: "notTried",
}


def _dry_run_documents(tried: Sequence[Tried]) -> list[JsonObject]:
    """The value of `dryRun` in a BundleReport."""
    return [
        {
            "policy": trial.policy.key,
            "outcome": _OUTCOMES[trial.outcome],
            "by": trial.by,
            "message": trial.message,
        }
        for trial in tried
    ]
