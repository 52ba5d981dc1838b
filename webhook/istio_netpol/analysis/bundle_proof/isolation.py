"""Whether each namespace of a bundle denies what no policy allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.policy_lint.breadth import opens_everything
from istio_netpol.policy_lint.followed import Followed
from istio_netpol.policy_lint.narrower import with_instead
from istio_netpol.state.snapshot import Snapshot

Opened = tuple[str, Direction, int]
"""A rule of the policy with this key."""


def not_isolated(policies: Iterable[NetworkPolicy], snapshot: Snapshot) -> Iterator[Finding]:
    """Namespaces of the bundle in which a pod that no policy selects is open."""
    for namespace in sorted({policy.namespace for policy in policies}):
        for direction in Direction:
            if not snapshot.isolates_all(namespace, direction):
                ref = snapshot.namespace(namespace).ref
                message = (
                    f"{ref}: no policy denies {direction.lower()} by default, so pods that no other policy "
                    "selects are open; add a policy with podSelector {} and "
                    f"policyTypes [{direction}]"
                )
                yield Finding(Issue.BROAD_POLICY, Severity.ERROR, ref, message, field=str(direction))


def opened(policies: Iterable[NetworkPolicy]) -> frozenset[Opened]:
    """The rules that open all to every pod of a namespace, so that nothing is denied there."""
    return frozenset(
        (policy.key, direction, index)
        for policy in policies
        if policy.pod_selector.matches({})
        for direction in policy.policy_types
        for index, rule in enumerate(policy.rules(direction))
        if opens_everything(rule)
    )


def opened_findings(
    policies: Iterable[NetworkPolicy], found: frozenset[Opened], followed: Followed
) -> Iterator[Finding]:
    """An error for each of these rules, with the policy without them where all flows pass by others."""
    for policy in policies:
        places = sorted((direction, index) for key, direction, index in found if key == policy.key)
        if not places:
            continue
        without = with_instead(policy, dict.fromkeys(places, ()))
        remedy: tuple[NetworkPolicy, ...] = ()
        if followed.takes(policy, without):
            remedy, advice = (without,), "remove the rule"
        else:
            after = followed.snapshot.with_changes(put=[without])
            lost = [flow for _, flow in followed.lost(policy, after)]
            advice = f"first allow what passes by it alone: {_listed(lost)}"
        for direction, index in places:
            place = f"spec.{direction.lower()}[{index}]"
            message = (
                f"{policy.ref}: {place} allows all {direction.lower()} of every pod of namespace "
                f"{policy.namespace}, so that nothing is denied there; {advice}"
            )
            yield Finding(Issue.BROAD_POLICY, Severity.ERROR, policy.ref, message, remedy=remedy, field=place)


def _listed(flows: Iterable[RequiredFlow]) -> str:
    """The first of the flows, and how many more."""
    first, *others = flows
    more = f" and {len(others)} more" if others else ""
    return f"{first.source} -> {first.destination}, {first.protocol} {first.port}{more}"
