"""A check for people in full: findings by object, the policies that mend them, what was assumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.analysis.results import NotRead, Report, Summary
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectRef
from istio_netpol.printable import visible
from istio_netpol.report.palette import PLAIN, Palette, input_heading
from istio_netpol.report.places import by_object, counts, in_words, place, plural
from istio_netpol.report.remarks import (
    UNDECLARED_TITLE,
    not_counted_figures,
    not_counted_sections,
    undeclared_lines,
)
from istio_netpol.report.remedies import distinct_policies

_REMEDY_TITLE = "Policies that allow what is denied (`istio-netpol generate` writes them, equal ones joined):"
_NARROWER_TITLE = "Narrower forms of policies that open too much, to replace those of the same name:"


def text(report: Report, palette: Palette = PLAIN) -> str:
    """The whole document, ending in a line break."""
    return "".join(f"{line}\n" for line in _inputs(report, palette))


def _inputs(report: Report, palette: Palette) -> Iterator[str]:
    """Each input under its name, and the sum of all."""
    if not report.parts:
        yield from _lines(report, palette)
        return
    for name, part in report.parts:
        yield input_heading(name, palette)
        yield ""
        yield from _lines(part, palette)
        yield ""
    yield f"All {len(report.parts)} inputs: {closing_line(report, palette)}"


def _lines(report: Report, palette: Palette) -> Iterator[str]:
    for ref, findings in by_object(report.findings):
        yield _heading(ref, palette)
        for alike in by_connection(findings):
            yield _title(alike[0], palette)
            yield from connection_lines(alike, palette)
        yield ""
    missing = [finding for finding in report.findings if not finding.narrows]
    narrower = [finding for finding in report.findings if finding.narrows]
    yield from _policies(_REMEDY_TITLE, missing, palette)
    yield from _policies(_NARROWER_TITLE, narrower, palette)
    yield from remarks(report, palette)
    if report.findings:
        yield from ("`istio-netpol rule ID` explains a rule.", "")
    yield closing_line(report, palette)


def remarks(report: Report, palette: Palette) -> Iterator[str]:
    """What there is to say besides the findings, each part followed by an empty line."""
    for title, entries in not_counted_sections(report):
        yield palette.paint(f"{title}:", palette.heading)
        yield from (f"  - {visible(entry)}" for entry in entries)
        yield ""
    if report.undeclared:
        yield palette.paint(UNDECLARED_TITLE, palette.heading)
        yield from (f"  - {visible(line)}" for line in undeclared_lines(report.undeclared))
        yield ""
    if report.assumptions:
        yield palette.paint("Assumed:", palette.heading)
        yield from (f"  - {visible(str(assumption))}" for assumption in report.assumptions)
        yield ""
    if report.not_read:
        yield f"{palette.paint('Not read:', palette.heading)} {visible(kinds_not_read(report.not_read))}"
        yield ""


def kinds_not_read(not_read: Iterable[NotRead]) -> str:
    """`3 CiliumNetworkPolicy (cilium.io/v2), 1 Secret (v1)`."""
    return ", ".join(f"{kind.count} {kind.kind} ({kind.api_version})" for kind in not_read)


def _heading(ref: ObjectRef, palette: Palette) -> str:
    where = visible(place(ref))
    heading = palette.paint(visible(str(ref)), palette.heading)
    return f"{heading}  {palette.paint(where, palette.faint)}" if where else heading


def by_connection(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Findings that differ in the port alone together: DNS over TCP and over UDP is one thing to read."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        ends = (str(finding.flow.source), str(finding.flow.destination)) if finding.flow else ()
        policies = tuple(policy.key for policy in finding.remedy)
        key = (finding.severity, finding.rule, finding.field, ends, _sentence(finding), policies)
        alike.setdefault(key, []).append(finding)
    yield from alike.values()


def _title(finding: Finding, palette: Palette) -> str:
    severity = palette.paint(finding.severity, palette.severity(finding.severity))
    field = f" at {visible(finding.field)}" if finding.field else ""
    return f"  {severity} {finding.rule}{field}"


def connection_lines(alike: list[Finding], palette: Palette) -> Iterator[str]:
    """What there is to say of findings that differ in the port alone, under the name of their object."""
    finding = alike[0]
    if finding.flow:
        ports = ", ".join(_port(finding.flow) for finding in alike if finding.flow)
        yield visible(f"    {finding.flow.source} -> {finding.flow.destination}, {ports}")
    yield f"    {visible(_sentence(finding))}"
    for direction in Direction:
        denied_by = finding.denied_by(direction)
        if not all(
            name in finding.message or name.replace("/", " ", 1) in finding.message for name in denied_by
        ):
            yield f"    {direction.lower()} denied by: {visible(', '.join(denied_by))}"
    if finding.remedy:
        names = ", ".join(policy.key for policy in finding.remedy)
        verb = "narrowed by replacing" if finding.narrows else "allowed by adding"
        yield f"    {verb}: {palette.paint(visible(names), palette.good)}"


def _sentence(finding: Finding) -> str:
    """The message without the object's name and the port, which stand above it."""
    sentence = finding.message.removeprefix(f"{finding.object}: ")
    return sentence.replace(f" ({_port(finding.flow)})", "") if finding.flow else sentence


def _port(flow: RequiredFlow) -> str:
    return f"{flow.protocol} {flow.port}"


def _policies(title: str, findings: Iterable[Finding], palette: Palette) -> Iterator[str]:
    """The remedies as YAML."""
    policies = distinct_policies(findings)
    if policies:
        yield palette.paint(title, palette.heading)
        yield ""
        yield from to_yaml(policies).rstrip("\n").split("\n")
        yield ""


def _denied(summary: Summary) -> str:
    """`86 denied (76 connections of 70 pairs)`, without what says the same again."""
    connections, pairs = summary.denied_connections, summary.denied_pairs
    if summary.denied == connections == pairs:
        return f"{summary.denied} denied"
    return f"{summary.denied} denied ({plural(connections, 'connection')} of {plural(pairs, 'pair')})"


def closing_line(report: Report, palette: Palette = PLAIN) -> str:
    """`2 errors, 1 warning in 34 objects, 120 flows checked`."""
    found, summary = counts(report.findings), report.summary
    verdict = in_words(found) or ("No new findings" if report.baseline else "No findings")
    worst = next((severity for severity, count in found.items() if count), None)
    escape = palette.severity(worst) if worst else palette.good
    figures = f"{plural(summary.objects, 'object')}, {plural(summary.flows, 'flow')} checked"
    if summary.denied:
        figures += f", {_denied(summary)}"
    if summary.unknown:
        figures += f", {summary.unknown} could not be judged"
    skipped = sum(kind.count for kind in report.not_read)
    if skipped:
        figures += f"; {plural(skipped, 'object')} of kinds that no rule reads"
    figures += not_counted_figures(report)
    return f"{palette.paint(verdict, escape)} in {figures}"
