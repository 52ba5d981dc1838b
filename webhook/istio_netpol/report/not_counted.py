"""What a report has found that does not count: accepted, left out, or known from a baseline."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.results import Compared, Report
from istio_netpol.report.places import plural

UPDATE = "--update-baseline"


def sections(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Each part under its title, without those that are empty."""
    if report.accepted:
        yield "Accepted", [str(accepted) for accepted in report.accepted]
    if report.left_out:
        yield "Not counted", [str(left_out) for left_out in report.left_out]
    if report.baseline:
        yield "Baseline", list(_of_baseline(report.baseline))


def sentences(report: Report) -> list[str]:
    """A sentence for each finding that does not count: `accepted: broad-policy of NetworkPolicy shop/x until
    …`."""
    return [f"{title.lower()}: {entry}" for title, entries in sections(report) for entry in entries]


def figures(report: Report) -> str:
    """`; 2 accepted, 14 not counted, 120 known from the baseline`, for the closing line."""
    left_out = sum(part.findings for part in report.left_out)
    told = [
        f"{count} {what}"
        for count, what in (
            (len(report.accepted), "accepted"),
            (left_out, "not counted"),
            (report.baseline.known if report.baseline else 0, "known from the baseline"),
        )
        if count
    ]
    return f"; {', '.join(told)}" if told else ""


def _of_baseline(compared: Compared) -> Iterator[str]:
    known = (
        f"{plural(compared.known, 'finding')} of this check {'is' if compared.known == 1 else 'are'} known"
    )
    yield f"{known} from {compared.file}"
    if compared.gone:
        count = (
            plural(len(compared.gone), "entry")
            if len(compared.gone) == 1
            else f"{len(compared.gone)} entries"
        )
        yield f"{count} of it {'has' if len(compared.gone) == 1 else 'have'} gone ({UPDATE} takes them out):"
        yield from (f"  {gone}" for gone in compared.gone)
