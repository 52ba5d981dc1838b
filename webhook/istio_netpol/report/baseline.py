"""The findings that were there when somebody began: a file that a check is compared with.

A baseline is JSON with an entry for each finding by its identity and severity, one a line, sorted: so it can
be reviewed, and two branches that change it merge. `count` stands where several findings are the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from istio_netpol.analysis.results import Compared, Report
from istio_netpol.errors import InputError, Problem
from istio_netpol.model.findings import Finding, RuleId, Severity
from istio_netpol.model.json_values import JsonObject
from istio_netpol.report.identity import Identity, identity
from istio_netpol.report.json_format import API_VERSION

KIND = "Baseline"
REMEDY = "write it anew with --update-baseline, or take it from version control"

_HEADER = {"apiVersion": API_VERSION, "kind": KIND}
_PARTS = Identity.__struct_fields__
_NEEDED = ("rule", "object", "severity")
_RANK = {severity: rank for rank, severity in enumerate(Severity)}

BaselineEntry = tuple[Identity, Severity]


class Baseline(Struct, frozen=True):
    """How many findings there were of each identity and severity."""

    entries: Counter[BaselineEntry]

    @classmethod
    def of(cls, report: Report) -> Baseline:
        """The baseline that knows all findings of a report."""
        return cls(
            Counter(
                (identity(finding, name), finding.severity)
                for name, part in report.by_input()
                for finding in part.findings
            )
        )

    def of_rules(self, rules: Collection[RuleId]) -> Baseline:
        """What it knows of some rules."""
        named = set(map(str, rules))
        return Baseline(
            Counter({entry: count for entry, count in self.entries.items() if entry[0].rule in named})
        )

    def text(self) -> str:
        """The file: the same bytes for the same findings."""
        lines = [
            json.dumps(_document(entry, count)) for entry, count in sorted(self.entries.items(), key=_order)
        ]
        written = ",\n    ".join(lines)
        listed = f"[\n    {written}\n  ]" if lines else "[]"
        header = "".join(f'  "{key}": "{value}",\n' for key, value in _HEADER.items())
        return f'{{\n{header}  "findings": {listed}\n}}\n'

    def compared(self, report: Report, file: str, *, in_full: bool = True) -> Report:
        """The report with what is new only. A finding is known that was there, as bad as it is or worse.
        Unless the report is of all that the baseline is of, it can't be said what has gone."""
        left = Counter(self.entries)
        known: set[Finding] = set()
        for name, part in report.by_input():
            for finding in part.findings:
                if (entry := _taken(left, identity(finding, name), finding.severity)) is not None:
                    left[entry] -= 1
                    known.add(finding)
        missing = sorted((+left).items(), key=_order) if in_full else ()
        gone = tuple(f"{found}" + (f" ({count} times)" if count > 1 else "") for (found, _), count in missing)
        return replace(
            report.filtered(lambda finding: finding not in known, accepted_too=False),
            baseline=Compared(file, len(known), gone),
        )


def parsed(text: str, file: str) -> Baseline:
    """The baseline that a file holds. Raises InputError with all that is wrong with it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(
            [Problem(file, line, None, None, None, f"is not a baseline: {what}", REMEDY)]
        ) from None
    problems = list(_problems(document, file))
    if problems:
        raise InputError(problems)
    found: Counter[BaselineEntry] = Counter()
    for entry in document["findings"]:
        made = Identity(**{part: entry[part] for part in _PARTS if part in entry})
        found[made, Severity(entry["severity"])] += entry.get("count", 1)
    return Baseline(found)


def _taken(left: Counter[BaselineEntry], found: Identity, severity: Severity) -> BaselineEntry | None:
    """The entry that knows a finding: of its own severity, else of a worse one."""
    for rank in range(_RANK[severity], -1, -1):
        entry = (found, tuple(Severity)[rank])
        if left[entry] > 0:
            return entry
    return None


def _order(item: tuple[BaselineEntry, int]) -> tuple[Identity, int]:
    (found, severity), _ = item
    return found, _RANK[severity]


def _document(entry: BaselineEntry, count: int) -> JsonObject:
    found, severity = entry
    parts = {name: value for name, value in asdict(found).items() if value}
    return {**parts, "severity": str(severity), **({"count": count} if count > 1 else {})}


def _problems(document: Any, file: str) -> Iterator[Problem]:
    def problem(field: str | None, value: object, cause: str) -> Problem:
        return Problem(file, None, None, field, None if value is None else str(value)[:60], cause, REMEDY)

    if not isinstance(document, dict):
        yield problem(None, None, "is not a baseline: it is not an object")
        return
    for key, expected in _HEADER.items():
        if document.get(key) != expected:
            yield problem(key, document.get(key), f"is not {expected}")
    for key in sorted(map(str, document.keys() - {*_HEADER, "findings"})):
        yield problem(key, None, "is not a field of a baseline")
    findings = document.get("findings")
    if not isinstance(findings, list):
        yield problem("findings", None, "is not a list")
        return
    for index, entry in enumerate(findings):
        for field, value, cause in _wrong_in(entry):
            yield problem(f"findings[{index}]{field}", value, cause)


def _wrong_in(entry: Any) -> Iterator[tuple[str, object, str]]:
    """Field, value and cause of what is wrong with an entry."""
    if not isinstance(entry, dict):
        yield "", entry, "is not an object"
        return
    for name in _NEEDED:
        if name not in entry:
            yield f".{name}", None, "is missing"
    for name, value in entry.items():
        if name in _PARTS:
            if not isinstance(value, str):
                yield f".{name}", value, "is not text"
        elif name == "severity":
            if value not in list(Severity):
                yield ".severity", value, "is not error, warning or info"
        elif name != "count":
            yield f".{name}", None, "is not a field of an entry"
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield ".count", value, "is not a number from 1"
