"""A cluster's readiness as Markdown: for a ticket, and beside the files of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.analysis.readiness.assessment import ReadinessReport
from istio_netpol.printable import visible
from istio_netpol.report.readiness import (
    asked_lines,
    by_weight,
    cut_lines,
    open_lines,
    order_lines,
    outcome_of,
    policies_of,
    state_of,
    step_lines,
    verdict_of,
)

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_|<>[]#"})


def markdown_plans(named: Sequence[tuple[str, ReadinessReport]]) -> str:
    """The plans of all inputs, one after the other."""
    return "\n".join(readiness_markdown(plan, name) for name, plan in named)


def readiness_markdown(found: ReadinessReport, name: str = "") -> str:
    """The document, ending in a line break. It is whole: nothing is left out of it."""
    return "".join(f"{line}\n" for line in _lines(found, name))


def _lines(found: ReadinessReport, name: str) -> Iterator[str]:
    title = f" of {_text(name)}" if name else ""
    yield f"# Readiness for a deny-all{title}"
    yield ""
    yield f"**{_text(verdict_of(found))}**"
    yield ""
    yield "| Namespace | Today | Would cut | Policies to add | With the plan |"
    yield "|---|---|---:|---|---|"
    for namespace in by_weight(found.namespaces):
        cells = (state_of(namespace), str(namespace.would_cut), policies_of(namespace), outcome_of(namespace))
        yield f"| {' | '.join(map(_text, (namespace.name, *cells)))} |"
    yield from _section("Ask the owners of", asked_lines(found.asked))
    yield from _section("Still denied when all steps are applied", cut_lines(found.cuts))
    yield from _section("Not judged", open_lines(found))
    yield from _section("Order", order_lines(found))
    yield from _section("Steps", step_lines(found.steps))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield f"## {title}"
        yield ""
        yield from (f"- {_text(line)}" for line in found)


def _text(text: str) -> str:
    return visible(text).translate(_SPECIAL)
