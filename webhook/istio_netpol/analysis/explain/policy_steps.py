"""The steps of an explanation that tell what policies say: NetworkPolicies, and the tiers around them."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.assumed_pods import is_assumed
from istio_netpol.analysis.denial_wording import as_plugin_sees
from istio_netpol.analysis.results import ExplanationStep
from istio_netpol.model.flows import PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.verdicts import Judged, SideVerdict, TierRuleRef
from istio_netpol.netpol.ports import admits_port
from istio_netpol.state.snapshot import Snapshot


def policy_steps(judged: Judged, direction: Direction, snapshot: Snapshot) -> Iterator[ExplanationStep]:
    """What policies say on one side of a connection, whom it is about first."""
    flow, side = judged.flow, judged.verdict.side(direction)
    subject = flow.source if direction is Direction.EGRESS else flow.destination
    about = f"{direction.lower()} of {subject}"
    if not isinstance(subject, PodsPeer):
        yield ExplanationStep(f"{about}: outside the cluster, no policy governs it", True)
    elif is_assumed(subject):
        yield ExplanationStep(f"{about}: which policies select it is not known, so it counts as open", True)
    elif subject.workload.host_network:
        yield ExplanationStep(f"{about}: it runs in the host's network, which no policy governs", True)
    elif decided := _steps_before_policies(side, direction, subject):
        yield from decided
    elif not side.isolated_by:
        yield from _steps_behind_policies(side, direction, subject, snapshot)
    else:
        yield from _steps_on_the_way(side, direction, subject, snapshot)
        names = ", ".join(sorted(policy.key for policy in side.isolated_by))
        yield ExplanationStep(f"{about}: isolated by {names}; only what a rule allows may pass")
        yield from _rule_steps(flow, side, direction)
        yield from _outcome_steps(flow, side, direction, snapshot)


def _outcome_steps(
    flow: RequiredFlow, side: SideVerdict, direction: Direction, snapshot: Snapshot
) -> Iterator[ExplanationStep]:
    """What comes of the rules for isolated pods, and as what the network plugin sees the connection."""
    word = direction.lower()
    if seen := as_plugin_sees(
        snapshot, (flow.source, flow.destination), (flow.protocol, flow.port), direction, side
    ):
        yield ExplanationStep(f"{word}: {seen}")
    if side.allowed:
        yield from (ExplanationStep(f"{word}: {rule} allows it", True) for rule in side.allowed_by)
        if side.by_ip_block:
            yield ExplanationStep(
                f"{word}: only by an ipBlock, which not every network plugin applies to pods"
            )
        return
    counterpart = flow.destination if direction is Direction.EGRESS else flow.source
    denied = f"{word}: no rule allows {flow.protocol} {flow.port} for {counterpart}"
    if side.perhaps_opened_by:
        others = ", ".join(policy.title for policy in side.perhaps_opened_by)
        yield ExplanationStep(f"{denied}; {others} may")
    else:
        yield ExplanationStep(denied, False)


def _rule_steps(flow: RequiredFlow, side: SideVerdict, direction: Direction) -> Iterator[ExplanationStep]:
    """Why each rule that does not allow the connection does not."""
    allowing = {(rule.policy.key, rule.index) for rule in side.allowed_by}
    called = flow.destination.workload if isinstance(flow.destination, PodsPeer) else None
    for policy in side.isolated_by:
        for index, rule in enumerate(policy.rules(direction)):
            if (policy.key, index) in allowing:
                continue
            ports_match = admits_port(rule.ports, called, flow.protocol, flow.port)
            reason = (
                "its peers do not match"
                if ports_match
                else f"its ports do not include {flow.protocol} {flow.port}"
            )
            yield ExplanationStep(
                f"{direction.lower()}: {policy.key} {direction.lower()}[{index}] does not apply: {reason}"
            )
        if not policy.rules(direction):
            yield ExplanationStep(
                f"{direction.lower()}: {policy.key} has no rules, so by itself it denies everything"
            )


def _steps_before_policies(
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


def _steps_on_the_way(
    side: SideVerdict, direction: Direction, subject: PodsPeer, snapshot: Snapshot
) -> Iterator[ExplanationStep]:
    """What is said before NetworkPolicies decide."""
    word = f"{direction.lower()} of {subject}"
    for policy in snapshot.tiers_for(subject.workload):
        if policy.tier.precedes_policies and policy.rules(direction):
            yield ExplanationStep(f"{word}: {policy.ref} ({policy.tier} tier) leaves it to NetworkPolicies")
    yield from _doubts(side, direction)


def _steps_behind_policies(
    side: SideVerdict, direction: Direction, subject: PodsPeer, snapshot: Snapshot
) -> Iterator[ExplanationStep]:
    """What the tier behind NetworkPolicies says of pods that none of them isolates."""
    word = direction.lower()
    yield from _steps_on_the_way(side, direction, subject, snapshot)
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
