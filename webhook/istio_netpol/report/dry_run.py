"""What came of trying an overlay's policies on a cluster, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from istio_netpol.model.policy_store import DryRunOutcome, Tried
from istio_netpol.printable import visible
from istio_netpol.report.palette import Palette


def dry_run_lines(tried: Sequence[Tried], palette: Palette) -> Iterator[str]:
    """The policies that are not accepted, and how many are accepted."""
    yield palette.paint("Dry run on the API server, where nothing is stored:", palette.heading)
    for trial in tried:
        if trial.outcome is not DryRunOutcome.ACCEPTED:
            by = f" by {trial.by}" if trial.by else ""
            outcome = palette.paint(trial.outcome, palette.error)
            yield f"  {outcome}{visible(by)}: {visible(trial.policy.key)}"
    accepted = sum(trial.outcome is DryRunOutcome.ACCEPTED for trial in tried)
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
            "policy": trial.policy.key,
            "outcome": _OUTCOMES[trial.outcome],
            "by": trial.by,
            "message": trial.message,
        }
        for trial in tried
    ]
