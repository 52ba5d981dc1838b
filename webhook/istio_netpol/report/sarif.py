"""A check as SARIF 2.1.0, for code scanning (OASIS Standard, 27 March 2020)."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from istio_netpol import __version__
from istio_netpol.analysis.results import Report
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding, RuleId, Severity
from istio_netpol.model.flows import AddressPeer, Peer
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.places import in_a_file
from istio_netpol.report.remedies import Printed
from istio_netpol.report.rule_titles import TITLES, page

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(report: Report) -> str:
    """One run with a result a finding, and the rules that occur in it."""
    rules = sorted({finding.rule for finding in report.findings})
    index = {rule: position for position, rule in enumerate(rules)}
    notes = [{"level": "note", "message": {"text": str(each)}} for each in report.assumptions]
    driver = {
        "name": "istio-netpol",
        "semanticVersion": __version__,
        "rules": [_rule(rule) for rule in rules],
    }
    results = [
        _result(finding, index[finding.rule], printed, name)
        for name, part in report.by_input()
        for printed in [Printed()]
        for finding in part.findings
    ]
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: RuleId) -> dict[str, Any]:
    return {"id": str(rule), "shortDescription": {"text": TITLES[rule]}, "helpUri": page(rule)}


def _result(finding: Finding, rule_index: int, printed: Printed, input_name: str) -> dict[str, Any]:
    result = {
        "ruleId": str(finding.rule),
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [_location(finding.object)],
        "partialFingerprints": {"istioNetpolFinding/v1": fingerprint(finding, input_name)},
    }
    remedy, above = printed.part(finding.remedy)
    properties = {"remedy": to_yaml(remedy)} if remedy else {}
    if above:
        properties["remedyAbove"] = ", ".join(above)
    if properties:
        result["properties"] = properties
    return result


def _location(ref: ObjectRef) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": str(ref), "kind": "resource"}]}
    if in_a_file(ref):
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(ref.file)}}
        if ref.line:
            physical["region"] = {"startLine": ref.line}
        location["physicalLocation"] = physical
    return location


def _uri(file: str) -> str:
    """A relative reference, or a file URI for an absolute path."""
    path = quote(file)
    return f"file://{path}" if file.startswith("/") else path.removeprefix("./")


def fingerprint(finding: Finding, input_name: str = "") -> str:
    """The same for the same finding of an input after lines, files and a host's addresses have changed."""
    flow = finding.flow
    connection = (
        (_stable(flow.source), _stable(flow.destination), str(flow.protocol), flow.port) if flow else ()
    )
    identity = [str(finding.rule), finding.object.key, connection, finding.field]
    identity += [input_name] if input_name else []
    return sha256(json.dumps(identity).encode()).hexdigest()


def _stable(peer: Peer) -> str:
    return f"host|{peer.host}" if isinstance(peer, AddressPeer) and peer.host else peer.key
