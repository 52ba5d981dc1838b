"""The steps of an explanation that tell what the Admin and Baseline tiers say."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.results import ExplanationStep
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.tiers import Tier
from istio_netpol.model.verdicts import SideVerdict, TierRuleRef
from istio_netpol.state.snapshot import Snapshot


def steps_before_policies(
    side: SideVerdict, direction: Direction, subject: PodsPeer
) -> list[ExplanationStep]:
    """How the Admin tier decides; empty where it leaves the decision to others, wholly or in part."""
    accepting, denying = _of_tier(side.accepted_by, Tier.ADMIN), _of_tier(side.denied_by, Tier.ADMIN)
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
    """What the Admin tier says before NetworkPolicies decide."""
    word = f"{direction.lower()} of {subject}"
    for policy in snapshot.tiers_for(subject.workload):
        if policy.tier is Tier.ADMIN and policy.rules(direction):
            yield ExplanationStep(f"{word}: {policy.ref} (Admin tier) leaves it to NetworkPolicies")
    yield from _doubts(side, direction)


def steps_behind_policies(
    side: SideVerdict, direction: Direction, subject: PodsPeer, snapshot: Snapshot
) -> Iterator[ExplanationStep]:
    """What the Baseline tier says of pods that no NetworkPolicy isolates."""
    word = direction.lower()
    yield from steps_on_the_way(side, direction, subject, snapshot)
    baseline = [policy for policy in snapshot.tiers_for(subject.workload) if policy.tier is Tier.BASELINE]
    baseline = [policy for policy in baseline if policy.rules(direction)]
    unselected = f"{word} of {subject}: no NetworkPolicy selects it for {word}"
    if not baseline:
        yield ExplanationStep(f"{unselected}, so everything is allowed", True)
        return
    yield ExplanationStep(f"{unselected}, so the Baseline tier is asked")
    if side.denied_by:
        yield from (ExplanationStep(f"{word}: {ref} denies it", False) for ref in side.denied_by)
    elif accepting := _of_tier(side.accepted_by, Tier.BASELINE):
        yield from (ExplanationStep(f"{word}: {ref} accepts it", True) for ref in accepting)
    else:
        names = ", ".join(str(policy.ref) for policy in baseline)
        yield ExplanationStep(f"{word}: no rule of {names} matches it, so it is allowed", True)


def _doubts(side: SideVerdict, direction: Direction) -> Iterator[ExplanationStep]:
    for ref in side.undecided:
        yield ExplanationStep(f"{direction.lower()}: it can't be told from the input what {ref} says of it")


def _of_tier(refs: tuple[TierRuleRef, ...], tier: Tier) -> tuple[TierRuleRef, ...]:
    return tuple(ref for ref in refs if ref.policy.tier is tier)
