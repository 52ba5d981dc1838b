"""The proof of a bundle, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.bundle_proof.bundle_report import BundleReport, PolicyChanges
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import Direction
from istio_netpol.model.verdicts import Judged
from istio_netpol.printable import visible
from istio_netpol.report.bundle_coverage import coverage_document, coverage_lines
from istio_netpol.report.dry_run import dry_run_documents, dry_run_lines
from istio_netpol.report.json_format import API_VERSION, dump, finding_documents, summary_document
from istio_netpol.report.junit import junit
from istio_netpol.report.palette import PLAIN, Palette
from istio_netpol.report.peers import flow_shapes
from istio_netpol.report.remedies import distinct_policies
from istio_netpol.report.rule_titles import RulePages
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
            **({"coverage": coverage_document(proof.coverage)} if proof.coverage else {}),
            **({"dryRun": dry_run_documents(proof.dry_run)} if proof.dry_run else {}),
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
        yield from coverage_lines(proof.coverage, palette)
        yield ""
    if proof.dry_run:
        yield from dry_run_lines(proof.dry_run, palette)
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
