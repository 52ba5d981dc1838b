"""A check as GitHub workflow commands: annotations at the lines of the objects.

Source: docs.github.com, "Workflow commands for GitHub Actions"; escapes as in actions/toolkit, `command.ts`.
"""

from __future__ import annotations

from istio_netpol.analysis.results import Report
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.printable import visible
from istio_netpol.report.places import in_a_file
from istio_netpol.report.remarks import not_counted_sentences
from istio_netpol.report.rules import command
from istio_netpol.report.text import closing_line

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(report: Report) -> str:
    """A command a finding, then the closing line, which the job's log shows as it is."""
    lines = [_command(finding, name) for name, part in report.by_input() for finding in part.findings]
    lines += [f"::notice title=istio-netpol::{_data(sentence)}" for sentence in not_counted_sentences(report)]
    return "\n".join([*lines, closing_line(report)]) + "\n"


def _command(finding: Finding, input_name: str) -> str:
    ref = finding.object
    where = f" in {input_name}" if input_name else ""
    properties = {"title": f"{finding.rule}: {ref}{where}"}
    if in_a_file(ref):
        properties["file"] = ref.file.removeprefix("./")
        if ref.line:
            properties["line"] = str(ref.line)
    written = ",".join(f"{name}={_property(value)}" for name, value in sorted(properties.items()))
    remedy = f"\n\n{to_yaml(finding.remedy).rstrip()}" if finding.remedy else ""
    text = _data(f"{finding.message} ({command(finding.rule)}){remedy}")
    return f"::{_COMMANDS[finding.severity]} {written}::{text}"


def _data(text: str) -> str:
    """Line breaks escaped; other control characters spelled out, for the log shows them as they are."""
    lines = (visible(line).replace("%", "%25") for line in text.split("\n"))
    return "%0A".join(lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
