"""A check on one screen: causes, the worst first, then a line for each namespace, and how to see the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from textwrap import wrap

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.results import Report
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import Direction
from istio_netpol.printable import visible
from istio_netpol.report.causes import Cause, causes
from istio_netpol.report.palette import PLAIN, Palette, input_heading
from istio_netpol.report.places import by_object, in_words, place, plural
from istio_netpol.report.remarks import not_counted_sections, undeclared_summary
from istio_netpol.report.text import by_connection, closing_line, connection_lines, kinds_not_read, remarks

HEIGHT, WIDTH = 40, 100
"""The screen of a person."""


class _Detail(Struct, frozen=True):
    """How much is told: of each cause so many lines about places, of the first `favoured` ones one more, and
    so many lines about namespaces; or, in full, the sentences of each finding."""

    of_errors: int = 0
    of_others: int = 0
    namespaces: int = 0
    favoured: int = 0
    in_full: bool = False

    def places(self, cause: Cause, position: int) -> int:
        """Lines about the places of a cause."""
        usual = self.of_errors if cause.severity is Severity.ERROR else self.of_others
        return usual + (position < self.favoured)


_DETAILS = (
    _Detail(in_full=True),
    *(_Detail(rows, rows, 8) for rows in (20, 12, 8, 6, 4)),
    *(_Detail(of_errors, of_others, 2) for of_errors in (4, 3, 2, 1) for of_others in (2, 1, 0)),
    _Detail(namespaces=2),
)
"""From much to little; the first that fits on the screen is taken."""


def overview(report: Report, palette: Palette = PLAIN, generate: str = "istio-netpol generate PATH") -> str:
    """At most a screen; `generate` is the command that prints the missing policies."""
    screen = _Screen(report, causes(report), generate)
    most = len(screen.causes)
    detail = next((detail for detail in _DETAILS if screen.fits(detail, most)), _DETAILS[-1])
    while most and not screen.fits(detail, most):
        most -= 1
    while detail.favoured < most and screen.fits(more := replace(detail, favoured=detail.favoured + 1), most):
        detail = more
    return "".join(f"{line}\n" for line in screen.lines(detail, most, palette))


class _Screen(Struct, frozen=True):
    """What there is to tell of a report."""

    report: Report
    causes: Sequence[Cause]
    generate: str

    def fits(self, detail: _Detail, most: int) -> bool:
        """Whether so many causes fit, on a screen that breaks the lines that are too long."""
        lines = self.lines(detail, most, PLAIN)
        return sum(max(1, -(-len(line) // WIDTH)) for line in lines) <= HEIGHT

    def lines(self, detail: _Detail, most: int, palette: Palette) -> Iterator[str]:
        """The screen with the first causes."""
        yield from self._in_full(palette) if detail.in_full else self._in_short(detail, most, palette)
        yield from self._next_steps()
        total = closing_line(self.report, palette)
        several = f"All {len(self.report.parts)} inputs: " if self.report.parts else ""
        yield from [f"{several}{total}"] if detail.in_full else _wrapped(f"{several}{total}")

    def _in_full(self, palette: Palette) -> Iterator[str]:
        for name, part in self.report.by_input():
            if name:
                yield from (input_heading(name, palette), "")
            for cause in causes(part):
                yield from _sentences(cause, palette)
                yield ""
            yield from remarks(part, palette)
            if name:
                yield from (closing_line(part, palette), "")

    def _in_short(self, detail: _Detail, most: int, palette: Palette) -> Iterator[str]:
        shown, others = self.causes[:most], self.causes[most:]
        for position, cause in enumerate(shown):
            yield from _summary(cause, detail.places(cause, position), palette)
        if others:
            rules = ", ".join(sorted({str(cause.rule) for cause in others}))
            yield _cut(f"and {plural(len(others), 'more cause')}: {rules}")
        yield ""
        yield from _namespaces(self.report, detail.namespaces)
        yield from _short_remarks(self.report)

    def _next_steps(self) -> Iterator[str]:
        """How to see the rest."""
        if not self.report.findings:
            return
        if any(map(_is_written_by_generate, self.report.findings)):
            yield f"`{self.generate}` prints the missing policies."
        yield "`istio-netpol rule ID` explains a rule; --all shows every finding with its remedy."
        yield ""


def _is_written_by_generate(finding: Finding) -> bool:
    """Whether `generate` writes the remedy: no narrower form, and nothing that lacks somebody's consent."""
    return bool(finding.remedy) and not finding.narrows and finding.rule is not Issue.CONSENT_MISSING


def _heading(cause: Cause, title: str, palette: Palette) -> Iterator[str]:
    """Severity, rule and title; a title that is too long goes on in a second line."""
    start = f"{cause.severity} {cause.rule}: "
    first, *more = _wrapped(visible(title), initial_indent=" " * len(start), subsequent_indent="    ")
    severity = palette.paint(cause.severity, palette.severity(cause.severity))
    yield f"{severity} {palette.paint(str(cause.rule), palette.heading)}: {first.lstrip()}"
    if more:
        yield _cut(f"    {' '.join(line.strip() for line in more)}")


def _sentences(cause: Cause, palette: Palette) -> Iterator[str]:
    """The cause with each of its findings."""
    yield from _heading(cause, cause.title_of_rule, palette)
    for ref, findings in by_object(cause.findings):
        where = visible(place(ref))
        name = palette.paint(visible(str(ref)), palette.heading)
        yield f"  {name}  {palette.paint(where, palette.faint)}" if where else f"  {name}"
        for alike in by_connection(findings):
            yield from connection_lines(alike, palette)


def _summary(cause: Cause, most: int, palette: Palette) -> Iterator[str]:
    """The cause with at most so many lines about its places; the last one names all others."""
    yield from _heading(cause, cause.title, palette)
    if not most:
        return
    if len(cause.findings) == 1 and not cause.places[0].policies:
        yield _cut(f"  {cause.findings[0].message}")
        return
    few = cause.places if len(cause.places) <= most else cause.places[: most - 1]
    yield from (_cut(f"  {shown}") for shown in few)
    others = list(dict.fromkeys(shown.name for shown in cause.places[len(few) :]))
    if others:
        yield _cut(f"  {'and ' if few else ''}in {', '.join(others)}")


def _namespaces(report: Report, most: int) -> Iterator[str]:
    """How many findings of each severity the objects of each namespace have, and which policy denies where it
    is a single one."""
    counted: defaultdict[str, Counter[Severity]] = defaultdict(Counter)
    denying: defaultdict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        name = finding.told_of.namespace or "cluster-wide"
        counted[name][finding.severity] += 1
        denying[name].update(policy for side in Direction for policy in finding.denied_by(side))
    ranked = sorted(counted, key=lambda name: (*(-counted[name][severity] for severity in Severity), name))
    if len(ranked) < 2:
        return
    told = "; ".join(f"{name} {in_words(counted[name])}{_by_one(denying[name], name)}" for name in ranked)
    lines = _wrapped(f"By namespace: {told}")
    if len(lines) > most:
        lines = [*lines[: most - 1], _cut(" ".join(lines[most - 1 :]))]
    yield from (*lines, "")


def _by_one(policies: set[str], namespace: str) -> str:
    """`, denied by default-deny`, where one policy denies all that is denied."""
    return f", denied by {next(iter(policies)).removeprefix(f'{namespace}/')}" if len(policies) == 1 else ""


def _short_remarks(report: Report) -> Iterator[str]:
    """A line about each thing that `--all` tells in full."""
    said = []
    for title, entries in not_counted_sections(report):
        said.append(_cut(f"{title}: {'; '.join(entry.strip() for entry in entries)}"))
    if report.undeclared:
        sentence = undeclared_summary(report.undeclared, "--all lists")
        said += _wrapped(f"{sentence[0].upper()}{sentence[1:]}.")
    if report.assumptions:
        said.append(_cut(f"Assumed: {'; '.join(assumption.why for assumption in report.assumptions)}"))
    if report.not_read:
        said.append(_cut(f"Not read: {visible(kinds_not_read(report.not_read))}"))
    if said:
        yield from (*said, "")


def _wrapped(text: str, initial_indent: str = "", subsequent_indent: str = "") -> list[str]:
    return wrap(
        text,
        WIDTH,
        break_on_hyphens=False,
        initial_indent=initial_indent,
        subsequent_indent=subsequent_indent,
    )


def _cut(line: str, width: int = WIDTH) -> str:
    """The line, or its beginning where it is longer than the screen is wide."""
    line = visible(line)
    return line if len(line) <= width else f"{line[: width - 1].rstrip()}\u2026"
