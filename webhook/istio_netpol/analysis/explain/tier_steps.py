"""The steps of an explanation that tell what the tiers before and behind NetworkPolicies say."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.results import ExplanationStep
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.verdicts import SideVerdict, TierRuleRef
from istio_netpol.state.snapshot import Snapshot


def steps_before_policies(
    side: SideVerdict, direction: Direction, subject: PodsPeer
) -> list[ExplanationStep]:
    """How a tier before NetworkPolicies decides; empty where it leaves the decision to others, wholly or in
    part."""
    accepting, denying = _before_policies(side.accepted_by), _before_policies(side.denied_by)
    is_accepted = bool(accepting) and accepting == side.accepted_by and not side.allowed_by
    word = f"{direction.lower()} of {subject}"
    if denying:
        steps = [
            ExplanationStep(f"{word}: {ref} denies it, before any NetworkPolicy is asked", False)
            for ref in denying
        ]
    elif is_accepted:
        steps = [
            ExplanationStep(f"{word}: {ref} accepts it, and no NetworkPolicy is asked", True)
            for ref in accepting
        ]
    else:
        return []
    return [*steps, *_doubts(side, direction)]


def steps_on_the_way(
    side: SideVerdict, direction: Direction, subject: PodsPeer, snapshot: Snapshot
) -> Iterator[ExplanationStep]:
    """What is said before NetworkPolicies decide."""
    word = f"{direction.lower()} of {subject}"
    for policy in snapshot.tiers_for(subject.workload):
        if policy.tier.precedes_policies and policy.rules(direction):
            yield ExplanationStep(f"{word}: {policy.ref} ({policy.tier} tier) leaves it to NetworkPolicies")
    yield from _doubts(side, direction)


def steps_behind_policies(
    side: SideVerdict, direction: Direction, subject: PodsPeer, snapshot: Snapshot
) -> Iterator[ExplanationStep]:
    """What the tier behind NetworkPolicies says of pods that none of them isolates."""
    word = direction.lower()
    yield from steps_on_the_way(side, direction, subject, snapshot)
    tiers = snapshot.tiers_for(subject.workload)
    behind = [policy for policy in tiers if not policy.tier.precedes_policies and policy.rules(direction)]
    unselected = f"{word} of {subject}: no NetworkPolicy selects it for {word}"
    if not behind:
        yield ExplanationStep(f"{unselected}, so everything is allowed", True)
        return
    yield ExplanationStep(f"{unselected}, so the {behind[0].tier} tier is asked")
    if side.denied_by:
        yield from (ExplanationStep(f"{word}: {ref} denies it", False) for ref in side.denied_by)
    elif accepting := [ref for ref in side.accepted_by if not ref.policy.tier.precedes_policies]:
        yield from (ExplanationStep(f"{word}: {ref} accepts it", True) for ref in accepting)
    else:
        names = ", ".join(str(policy.ref) for policy in behind)
        yield ExplanationStep(f"{word}: no rule of {names} matches it, so it is allowed", True)


def _doubts(side: SideVerdict, direction: Direction) -> Iterator[ExplanationStep]:
    for ref in side.undecided:
        yield ExplanationStep(f"{direction.lower()}: it can't be told from the input what {ref} says of it")


def _before_policies(refs: tuple[TierRuleRef, ...]) -> tuple[TierRuleRef, ...]:
    return tuple(ref for ref in refs if ref.policy.tier.precedes_policies)
