"""A check as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.analysis.results import Report
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Severity
from istio_netpol.printable import visible
from istio_netpol.report.causes import Cause, causes
from istio_netpol.report.places import by_object, place, plural
from istio_netpol.report.remarks import not_counted_sentences
from istio_netpol.report.remedies import distinct_policies
from istio_netpol.report.text import closing_line, kinds_not_read

LONGEST = 65_536
"""Characters that a comment on GitHub may have; GitLab takes a million."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_FENCE = "````"
_MOST_PLACES = 5
"""Namespaces that a row of the table names."""
_RESERVE = 600
"""Characters kept for the sentences that say what was left out."""


def markdown(report: Report) -> str:
    """A table of the causes, then each finding and the missing policies to unfold, as far as they fit."""
    return _within(LONGEST, report)


def _within(most: int, report: Report) -> str:
    found = causes(report)
    lines = [f"### istio-netpol: {_plain(closing_line(report))}", ""]
    left = most - _length(lines) - _RESERVE
    rows = _table(found, left)
    lines += rows
    left -= _length(rows)
    for title, noun, entries, rest in _details(report):
        shown = _fitting(entries, left - len(title) - 200)
        missing = len(entries) - len(shown)
        left_out = f"Of {plural(len(entries), noun)}, {missing} did not fit into this comment: {rest}."
        lines += _folded(title, shown, left_out if missing else "")
        left = most - _length(lines) - _RESERVE
    lines += _remarks(report, left)
    return "\n".join(lines) + "\n"


def _table(found: Sequence[Cause], left: int) -> list[str]:
    """A row for each cause; the last says how many are left out."""
    if not found:
        return []
    head = ["| | rule | what | where |", "|---|---|---|---|"]
    rows = [
        f"| {cause.severity} | `{cause.rule}` | {_plain(cause.title)} | {_where(cause)} |" for cause in found
    ]
    shown = _fitting(rows, left - _length(head))
    more = [f"| | | and {plural(len(rows) - len(shown), 'more cause')} | |"] if len(shown) < len(rows) else []
    return [*head, *shown, *more, "", "`istio-netpol rule ID` prints what a rule means, and what to do.", ""]


def _where(cause: Cause) -> str:
    names = list(dict.fromkeys(place.name for place in cause.places))
    if len(names) == 1:
        return _plain(str(cause.places[0]) if len(cause.places) == 1 else names[0])
    more = f" and {len(names) - _MOST_PLACES} more" if len(names) > _MOST_PLACES else ""
    return _plain("; ".join(names[:_MOST_PLACES]) + more)


def _details(report: Report) -> Iterator[tuple[str, str, list[str], str]]:
    """What can be unfolded: a title, what an entry is, the entries, and where the others are."""
    if report.findings:
        told = plural(len(report.findings), "finding")
        yield told, "object", list(_entries(report)), "`istio-netpol check --all` lists every finding"
    policies = distinct_policies(finding for finding in report.findings if not finding.narrows)
    if policies:
        title = "1 missing policy" if len(policies) == 1 else f"{len(policies)} missing policies"
        written = [f"{_FENCE}yaml\n{to_yaml([policy]).rstrip()}\n{_FENCE}" for policy in policies]
        yield title, "document", written, "`istio-netpol generate` prints every policy"


def _entries(report: Report) -> Iterator[str]:
    """A list item for each object, those with errors first."""
    objects = [
        (name, ref, findings)
        for name, part in report.by_input()
        for ref, findings in by_object(part.findings)
    ]
    rank = list(Severity)
    for name, ref, findings in sorted(
        objects, key=lambda entry: min(rank.index(f.severity) for f in entry[2])
    ):
        where = ", ".join(filter(None, (name, place(ref))))
        head = f"- **{_plain(str(ref))}**" + (f" ({_plain(where)})" if where else "")
        told = [
            f"  - {finding.severity} `{finding.rule}`: {_plain(finding.message.removeprefix(f'{ref}: '))}"
            for finding in findings
        ]
        yield "\n".join([head, *told])


def _folded(title: str, entries: Sequence[str], rest: str) -> list[str]:
    if not entries:
        return [f"{title}: {rest}", ""] if rest else []
    lines = ["<details>", f"<summary>{title}</summary>", "", *entries, ""]
    return [*lines, *([rest, ""] if rest else []), "</details>", ""]


def _remarks(report: Report, left: int) -> list[str]:
    """What was assumed and not read, as far as there is room."""
    said = [f"- {_plain(sentence)}" for sentence in not_counted_sentences(report)]
    said += [f"- assumed: {_plain(str(assumption))}" for assumption in report.assumptions]
    if report.not_read:
        said.append(f"- not read: {_plain(kinds_not_read(report.not_read))}")
    shown = _fitting(said, left)
    more = len(said) - len(shown)
    return [
        *shown,
        *([f"- and {plural(more, 'more remark')}, which the text of the check has"] if more else []),
    ]


def _fitting(entries: Sequence[str], left: int) -> list[str]:
    """As many of the first entries as have room."""
    shown = []
    for entry in entries:
        left -= len(entry) + 1
        if left < 0:
            break
        shown.append(entry)
    return shown


def _length(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line. It comes from manifests, and must notify nobody."""
    return _SPECIAL.sub(r"\\\1", visible(text.replace("\n", " "))).replace("@", "@\u200b")
