"""What came of trying an overlay's policies on a cluster, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from istio_netpol.model.dry_runs import DryRunOutcome, Tried
from istio_netpol.printable import visible
from istio_netpol.report.palette import Palette


def dry_run_lines(tried: Sequence[Tried], palette: Palette) -> Iterator[str]:
    """Who is not accepted, and how many are."""
    yield palette.paint("Dry run on the API server, where nothing is stored:", palette.heading)
    for each in tried:
        if each.outcome is not DryRunOutcome.ACCEPTED:
            by = f" by {each.by}" if each.by else ""
            outcome = palette.paint(each.outcome, palette.error)
            yield f"  {outcome}{visible(by)}: {visible(each.policy.key)}"
    accepted = sum(each.outcome is DryRunOutcome.ACCEPTED for each in tried)
    yield f"  {accepted} of {len(tried)} NetworkPolicies accepted"


_OUTCOMES = {
    DryRunOutcome.ACCEPTED: "accepted",
    DryRunOutcome.REFUSED: "refused",
    DryRunOutcome.NOT_TRIED: "notTried",
}


def dry_run_documents(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """The value of `dryRun` in a BundleReport."""
    return [
        {
            "policy": each.policy.key,
            "outcome": _OUTCOMES[each.outcome],
            "by": each.by,
            "message": each.message,
        }
        for each in tried
    ]
