"""A check as SARIF 2.1.0, for code scanning (OASIS Standard, 27 March 2020)."""

from __future__ import annotations

import json
from urllib.parse import quote

from istio_netpol import __version__
from istio_netpol.analysis.results import AcceptedFinding, Report
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding, RuleId, Severity
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.identity import fingerprints
from istio_netpol.report.places import in_a_file
from istio_netpol.report.remarks import not_counted_sentences
from istio_netpol.report.remedies import Printed
from istio_netpol.report.rules import TITLES, RulePages, command, rule_page

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(report: Report, pages: RulePages = RulePages()) -> str:  # noqa: B008 - it is frozen
    """One run with a result a finding, and the rules that occur in it with their pages as help."""
    accepted = [part.finding for part in report.accepted]
    rules = sorted({finding.rule for finding in (*report.findings, *accepted)})
    index = {rule: position for position, rule in enumerate(rules)}
    said = [*not_counted_sentences(report), *map(str, report.assumptions)]
    notes = [{"level": "note", "message": {"text": sentence}} for sentence in said]
    driver = {
        "name": "istio-netpol",
        "semanticVersion": __version__,
        "rules": [_rule(rule, pages) for rule in rules],
    }
    findings = [
        (finding, printed)
        for _, part in report.by_input()
        for printed in [Printed()]
        for finding in part.findings
    ]
    findings += [(finding, Printed()) for finding in accepted]
    results = [
        _result(finding, index[finding.rule], printed, digits)
        for (finding, printed), digits in zip(findings, fingerprints(report), strict=True)
    ]
    for result, part in zip(results[-len(accepted) :] if accepted else (), report.accepted, strict=True):
        result["suppressions"] = [_suppression(part)]
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: RuleId, pages: RulePages) -> JsonObject:
    """A rule with its page as help, which code scanning shows beside an alert. `helpUri` is there only where
    the pages are published: it has to be an absolute address (SARIF 2.1.0, section 3.49.12)."""
    described: JsonObject = {
        "id": str(rule),
        "shortDescription": {"text": TITLES[rule]},
        "fullDescription": {"text": f"{TITLES[rule]} `{command(rule)}` prints its page."},
    }
    if page := pages.texts.get(rule, ""):
        described["help"] = {"text": rule_page(page), "markdown": page}
    if address := pages.address(rule):
        described["helpUri"] = address
    return described


def _result(finding: Finding, rule_index: int, printed: Printed, digits: str) -> JsonObject:
    result = {
        "ruleId": str(finding.rule),
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [_location(finding.object)],
        "partialFingerprints": {"istioNetpolFinding/v2": digits},
    }
    remedy, above = printed.part(finding.remedy)
    properties = {"remedy": to_yaml(remedy)} if remedy else {}
    if above:
        properties["remedyAbove"] = ", ".join(above)
    if properties:
        result["properties"] = properties
    return result


def _suppression(accepted: AcceptedFinding) -> dict[str, str]:
    """That the annotation of its object accepts a finding (section 3.35)."""
    justification = f"{accepted.reason} (until {accepted.until})"
    return {"kind": "inSource", "status": "accepted", "justification": justification}


def _location(ref: ObjectRef) -> JsonObject:
    location: JsonObject = {"logicalLocations": [{"fullyQualifiedName": str(ref), "kind": "resource"}]}
    if in_a_file(ref):
        physical: JsonObject = {"artifactLocation": {"uri": _uri(ref.file)}}
        if ref.line:
            physical["region"] = {"startLine": ref.line}
        location["physicalLocation"] = physical
    return location


def _uri(file: str) -> str:
    """A relative reference, or a file URI for an absolute path."""
    path = quote(file)
    return f"file://{path}" if file.startswith("/") else path.removeprefix("./")
