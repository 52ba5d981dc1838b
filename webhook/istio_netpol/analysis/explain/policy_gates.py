"""The gates of a connection that policies are: the Admin tier, NetworkPolicies, the Baseline tier, on both
sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from istio_netpol.analysis.assumed_pods import is_assumed
from istio_netpol.analysis.results import Gate
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, Peer, PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.tiers import Tier
from istio_netpol.model.verdicts import SideVerdict, TierRuleRef, Verdict

POLICY_GATES = {Direction.EGRESS: "egress-policy", Direction.INGRESS: "ingress-policy"}
TIER_GATES = {Tier.ADMIN: "admin-tier", Tier.BASELINE: "baseline-tier"}

POLICIES = frozenset({*POLICY_GATES.values(), *TIER_GATES.values()})
"""The gates on which the verdict of policies rests."""


def policy_gates(
    verdict: Verdict,
    source: Peer,
    destination: Peer,
    protocol: Protocol,
    port: int,
    seen: Mapping[Direction, str],
) -> Iterator[Gate]:
    """What policies say on the way out of the source, then on the way into the destination. `seen` says how
    the network plugin judges a side, where that decides."""
    wanted = f"{protocol} {port}"
    for direction, subject, to_whom in (
        (Direction.EGRESS, source, f"to {destination}"),
        (Direction.INGRESS, destination, f"from {source}"),
    ):
        judged_as = f" ({seen[direction]})" if seen[direction] else ""
        for gate in _side(verdict.side(direction), direction, subject, f"{wanted} {to_whom}"):
            is_policy = gate.gate in POLICY_GATES.values()
            yield replace(gate, text=gate.text + judged_as) if is_policy else gate


def _side(side: SideVerdict, direction: Direction, subject: Peer, wanted: str) -> Iterator[Gate]:
    gate, word = POLICY_GATES[direction], direction.lower()
    is_decided_by_tiers = bool(side.denied_by or side.undecided)
    if (ungoverned := _ungoverned(subject)) and not is_decided_by_tiers:
        yield Gate(gate, (), True, ungoverned)
        return
    yield from _tiers(side, wanted)
    deciding = side.denied_by or (() if side.allowed_by else side.accepted_by)
    if any(ref.policy.tier.precedes_policies for ref in deciding):
        return
    if not side.isolated_by:
        yield Gate(gate, (), True, f"no NetworkPolicy selects {subject} for {word}")
        return
    if side.allowed_by:
        rules = ", ".join(map(str, side.allowed_by))
        relied = ", only by an ipBlock, which not every network plugin applies to pods"
        word = "allows" if len(side.allowed_by) == 1 else "allow"
        text = f"{rules} {word} {wanted}{relied if side.by_ip_block else ''}"
        yield Gate(gate, tuple(dict.fromkeys(rule.policy.ref for rule in side.allowed_by)), True, text)
        return
    names = ", ".join(policy.key for policy in side.isolated_by)
    isolates = "isolates" if len(side.isolated_by) == 1 else "isolate"
    text = f"{names} {isolates} {subject} for {word}, and no rule allows {wanted}"
    passes: bool | None = False
    if side.perhaps_opened_by:
        others = ", ".join(policy.title for policy in side.perhaps_opened_by)
        text, passes = f"{text}; {others} may, and is not read", None
    yield Gate(gate, tuple(policy.ref for policy in side.isolated_by), passes, text)


def _ungoverned(subject: Peer) -> str:
    """Why no policy applies to a side; empty where policies do."""
    if isinstance(subject, AnyPeer):
        return f"which policies hold for {subject} is not known, so this side counts as open"
    if not isinstance(subject, PodsPeer):
        return f"{subject} is outside the cluster, where no policy holds"
    if is_assumed(subject):
        return f"which policies select {subject} is not known, so it counts as open"
    if subject.workload.host_network:
        return f"{subject} runs in the host's network, where no policy holds"
    return ""


def _tiers(side: SideVerdict, wanted: str) -> Iterator[Gate]:
    for refs, passes, word in (
        (side.denied_by, False, "denies"),
        (side.accepted_by, True, "accepts"),
    ):
        for ref in refs:
            yield _tier(ref, passes, f"{ref} {word} {wanted}")
    for ref in side.undecided:
        yield _tier(ref, None, f"whether {ref} matches {wanted} can't be told from the input")


def _tier(ref: TierRuleRef, passes: bool | None, text: str) -> Gate:
    return Gate(TIER_GATES[ref.policy.tier], (ref.policy.ref,), passes, text)
