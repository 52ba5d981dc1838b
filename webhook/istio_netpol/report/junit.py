"""A check as JUnit XML: a test case an object, failed where it has an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from istio_netpol.analysis.results import Report
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.places import by_object, place
from istio_netpol.report.remarks import not_counted_sentences
from istio_netpol.report.remedies import distinct_policies

_SUITE = "istio-netpol check"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write, not even escaped."""


def junit(report: Report) -> str:
    """A suite an input; warnings stand in their object's `system-out`. Without findings, one case that
    passes."""
    suites = [_suite(name, part) for name, part in report.by_input()]
    root = ET.Element("testsuites", name=_SUITE, **_figures([case for suite in suites for case in suite]))
    root.extend(suites)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(input_name: str, report: Report) -> ET.Element:
    title = _printable(f"{_SUITE}: {input_name}" if input_name else _SUITE)
    cases = [_case(ref, findings, input_name) for ref, findings in by_object(report.findings)]
    cases = cases or [ET.Element("testcase", classname=title, name="required flows")]
    suite = ET.Element("testsuite", name=title, **_figures(cases))
    suite.extend(cases)
    remarks = [
        *not_counted_sentences(report),
        *(f"Assumed: {assumption}" for assumption in report.assumptions),
    ]
    if remarks:
        _add_text(suite, "system-out", "\n".join(remarks))
    return suite


def _figures(elements: Iterable[ET.Element]) -> JsonObject:
    """The counts of test cases; other elements don't count."""
    cases = [element for element in elements if element.tag == "testcase"]
    failures = sum(1 for case in cases if case.find("failure") is not None)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}


def _case(ref: ObjectRef, findings: Iterable[Finding], input_name: str) -> ET.Element:
    place_name = f"{ref.namespace}.{ref.kind}" if ref.namespace else ref.kind
    place_name = f"{input_name}.{place_name}" if input_name else place_name
    case = ET.Element("testcase", classname=_printable(place_name), name=_printable(ref.name))
    if ref.file:
        case.set("file", _printable(ref.file))
    if ref.file and ref.line:
        case.set("line", str(ref.line))
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    others = [finding for finding in findings if finding.severity is not Severity.ERROR]
    if errors:
        failure = _add_text(case, "failure", _body(ref, errors))
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        failure.set("message", _printable(errors[0].message) + more)
        failure.set("type", str(errors[0].rule))
    if others:
        _add_text(case, "system-out", _body(ref, others))
    return case


def _body(ref: ObjectRef, findings: list[Finding]) -> str:
    where = place(ref)
    lines = [where] if where else []
    lines += [f"{finding.severity} {finding.rule}: {finding.message}" for finding in findings]
    policies = distinct_policies(findings)
    return "\n".join([*lines, "", to_yaml(policies)] if policies else lines)


def _add_text(parent: ET.Element, tag: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, tag)
    element.text = _printable(text)
    return element


def _printable(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
