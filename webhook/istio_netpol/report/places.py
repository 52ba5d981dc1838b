"""Where findings point to, and how often which severity occurs; shared by all formats of a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.references import ObjectRef

STANDARD_INPUT = "<stdin>"
"""What messages call standard input; no file that an annotation could point to."""


def place(ref: ObjectRef) -> str:
    """`shop.yaml:12`, `shop.yaml` where the line is unknown, or nothing for an object of no file."""
    return f"{ref.file}:{ref.line}" if ref.file and ref.line else ref.file


def in_a_file(ref: ObjectRef) -> bool:
    """Whether an annotation can point to the object."""
    return bool(ref.file) and ref.file != STANDARD_INPUT


def by_object(findings: Iterable[Finding]) -> Iterator[tuple[ObjectRef, list[Finding]]]:
    """The findings of each object together, in the order of the report, which is sorted by object."""
    for _, group in groupby(findings, key=lambda finding: finding.object.key):
        members = list(group)
        yield members[0].object, members


def counts(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many findings each severity has, worst first, all severities present."""
    counted = Counter(finding.severity for finding in findings)
    return {severity: counted[severity] for severity in Severity}


def in_words(counted: Mapping[Severity, int]) -> str:
    """`2 errors, 1 warning`, without the severities that do not occur."""
    return ", ".join(
        f"{counted[severity]} info" if severity is Severity.INFO else plural(counted[severity], severity)
        for severity in Severity
        if counted[severity]
    )


def plural(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
