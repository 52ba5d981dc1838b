"""Makes of findings the documents that a cluster's own tools show: an Event for each object, a report for
each namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from msgspec import Struct

from istio_netpol.kube.resources import Resource
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import MANAGED_BY, OWNER
from istio_netpol.model.references import ObjectRef

REPORT_KINDS = (("wgpolicyk8s.io", "PolicyReport"), ("openreports.io", "Report"))
"""The first of these that the API server serves is written."""

RESULTS = {Severity.ERROR: ("fail", "high"), Severity.WARNING: ("warn", "medium")}
"""What a finding of that severity is called in a report; a report leaves infos out."""

MAX_RESULTS = 500
"""A report is one object, which etcd limits to 1.5 MiB; a result takes up to 1.4 kB."""

NOTE_LIMIT = 1024
"""`note` of an Event: "Maximal length of the note is 1kB, but libraries should be prepared to handle values
up to 64kB." (events.k8s.io/v1)"""


class ObjectSummary(Struct, frozen=True):
    """What one object's Event says; `event_name` changes with what it says."""

    ref: ObjectRef
    note: str
    reason: str

    @property
    def event_name(self) -> str:
        said = repr((self.ref.key, self.reason, self.note))
        return f"{self.ref.name[:200].rstrip('.-')}.{sha256(said.encode()).hexdigest()[:16]}"


def reported(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings that are told, by namespace, in order."""
    found: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: finding.sort_key):
        if finding.severity in RESULTS and finding.told_of.namespace:
            found.setdefault(finding.told_of.namespace, []).append(finding)
    return found


def summaries(findings: Iterable[Finding]) -> Iterator[ObjectSummary]:
    """A summary for each object: its first and gravest finding, and how many more there are."""
    by_object: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        by_object.setdefault(finding.told_of.key, []).append(finding)
    for found in by_object.values():
        first = min(found, key=lambda finding: finding.severity is not Severity.ERROR)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield ObjectSummary(first.told_of, _cut(first.message, NOTE_LIMIT - len(more)) + more, _reason(first))


def report(resource: Resource, namespace: str, findings: list[Finding]) -> JsonObject:
    """The report of a namespace, gravest findings first; the fields are the same in both of its kinds.

    The summary counts all findings. Where there are too many to list, one more result says how many are left
    out.
    """
    gravest = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)
    is_cut = len(gravest) > MAX_RESULTS
    results = [_result(finding) for finding in gravest[: MAX_RESULTS - 1 if is_cut else None]]
    if is_cut:
        results.append(_rest(namespace, len(gravest) - len(results)))
    counts = Counter(RESULTS[finding.severity][0] for finding in findings)
    counted = {"fail": counts["fail"], "warn": counts["warn"], "skip": int(is_cut)}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": OWNER, "namespace": namespace, "labels": {MANAGED_BY: OWNER}},
        "summary": {"pass": 0, "error": 0, **counted},
        "results": results,
    }


def _rest(namespace: str, count: int) -> JsonObject:
    """The result that stands for the findings that are not listed."""
    return {
        "source": OWNER,
        "policy": "not-listed",
        "result": "skip",
        "message": (
            f"{count} more findings of namespace {namespace} are counted in the summary and not listed, "
            f"since a report has room for {MAX_RESULTS}; `istio-netpol check --context NAME` shows all"
        ),
    }


def _result(finding: Finding) -> JsonObject:
    result, severity = RESULTS[finding.severity]
    ref = finding.object
    return {
        "source": OWNER,
        "policy": str(finding.rule),
        "result": result,
        "severity": severity,
        "message": _cut(finding.message, NOTE_LIMIT),
        "resources": [
            {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
        ],
    }


def _reason(finding: Finding) -> str:
    """The rule id as Events spell reasons: `ProxyToIstiod`."""
    return "".join(word.capitalize() for word in str(finding.rule).split("-"))


def _cut(text: str, limit: int) -> str:
    """A text of at most so many bytes."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode(errors="ignore") + "…"
