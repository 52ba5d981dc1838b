"""Denials that no NetworkPolicy can lift, or none without cutting what is open today."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.netpol.tiers import is_closed
from istio_netpol.remedies.denied_sides import Opening
from istio_netpol.remedies.policy_writer import Unmendable
from istio_netpol.state.snapshot import Snapshot


def overruled(openings: Iterable[Opening], snapshot: Snapshot) -> list[Unmendable]:
    """The sides that NetworkPolicies can't open; a policy for the other side of the same connection would not
    help either."""
    return [
        Unmendable(opening, because)
        for opening in openings
        if (because := _reason(opening, snapshot)) is not None
    ]


def _reason(opening: Opening, snapshot: Snapshot) -> str | None:
    """Why a NetworkPolicy is not a remedy; None where it is one.

    A NetworkPolicy silences the tier behind it for the pods that it selects, and isolates them. So it only
    opens more where that tier leaves nothing open to them.
    """
    final = [ref for ref in opening.denied_by if ref.policy.tier.precedes_policies]
    if final:
        return (
            f"{final[0].policy.ref} is asked before every NetworkPolicy, and only the cluster's "
            "administrators can change it"
        )
    if not opening.denied_by or is_closed(opening.subject, opening.direction, snapshot):
        return None
    return (
        f"one that did would silence {opening.denied_by[0].policy.ref} for these pods, and cut all else that "
        "it leaves open to them; apply together all that they need, which `istio-netpol generate "
        "--assume-deny-all` prints, or have the cluster's administrators allow it"
    )
