"""A check as a code quality report of GitLab, which a merge request shows beside the changed lines.

Source: docs.gitlab.com, "Code Quality", "Code Quality report format": an array of violations, each with
`description`, `check_name`, `fingerprint`, `severity`, `location.path` and `location.lines.begin`.
"""

from __future__ import annotations

import json

from msgspec.structs import replace

from istio_netpol.analysis.results import AcceptedFinding, Report
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.json_values import JsonObject
from istio_netpol.printable import visible
from istio_netpol.report.identity import fingerprints
from istio_netpol.report.places import in_a_file
from istio_netpol.report.rules import command

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}
"""Of GitLab's five: info, minor, major, critical, blocker."""


def gitlab(report: Report) -> str:
    """A violation a finding; GitLab knows no accepted ones, so they are infos that say so."""
    findings = [(finding, name) for name, part in report.by_input() for finding in part.findings]
    findings += [(_as_info(accepted), "") for accepted in report.accepted]
    violations = [
        _violation(finding, name, digits)
        for (finding, name), digits in zip(findings, fingerprints(report), strict=True)
    ]
    return json.dumps(violations, indent=2) + "\n"


def _as_info(accepted: AcceptedFinding) -> Finding:
    told = f"accepted until {accepted.until} ({accepted.reason}): {accepted.finding.message}"
    return replace(accepted.finding, severity=Severity.INFO, message=told)


def _violation(finding: Finding, input_name: str, digits: str) -> JsonObject:
    where = f"{input_name}: " if input_name else ""
    return {
        "description": visible(f"{where}{finding.message} (`{command(finding.rule)}`)"),
        "check_name": str(finding.rule),
        "fingerprint": digits,
        "severity": _SEVERITIES[finding.severity],
        "location": _location(finding),
    }


def _location(finding: Finding) -> JsonObject:
    """The line of the object; GitLab wants a path and a line of every violation, so an object of no file
    stands under its own name, and one whose line is unknown at the first line."""
    ref = finding.object
    path = ref.file.removeprefix("./") if in_a_file(ref) else f"{ref.kind} {ref.namespace}/{ref.name}"
    return {"path": path, "lines": {"begin": ref.line if in_a_file(ref) and ref.line else 1}}
