"""Rules and selectors of a bundle that allow more than the control plane uses, and the narrower policy.

A narrower policy is told only after it was judged beside those that were told before it: every flow that
passed the policy is still allowed, it opens nothing that was closed, and whoever it isolated stays isolated.
So all of them may be followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.policy_lint.breadth import far_end
from istio_netpol.policy_lint.bundle_selectors import Selection, for_its_pods, too_many_pods
from istio_netpol.policy_lint.narrower import Followed, RulePlace, with_instead
from istio_netpol.policy_lint.purposes import Purposes
from istio_netpol.policy_lint.unused_parts import Surplus, UsedRule, used_rules


class NarrowingScope(Struct, frozen=True):
    """What of the policies is looked at otherwise: the namespaces of applications, whose pods are alike, and
    rules that are told apart."""

    everybodys: frozenset[str] = frozenset()
    told: frozenset[tuple[str, Direction, int]] = frozenset()


def broad_findings(
    policies: Iterable[NetworkPolicy], followed: Followed, purposes: Purposes, scope: NarrowingScope
) -> list[Finding]:
    """A warning for each rule of a policy that selects something and is wider than the flows through it, and
    for each policy that selects more pods than need it."""
    return [
        finding
        for policy in policies
        if followed.snapshot.select(policy.namespace, policy.pod_selector)
        for finding in _of_policy(policy, followed, purposes, scope)
    ]


def _of_policy(
    policy: NetworkPolicy, followed: Followed, purposes: Purposes, scope: NarrowingScope
) -> Iterator[Finding]:
    told = frozenset((direction, index) for key, direction, index in scope.told if key == policy.key)
    wide: list[tuple[UsedRule, Surplus]] = []
    for used in used_rules(policy, followed.uses):
        surplus = used.surplus()
        if surplus is None or _place(used) in told:
            continue
        purpose = "" if used.flows else purposes.of(policy, used.direction, used.rule)
        if purpose:
            yield _for_a_purpose(used, purpose)
        else:
            wide.append((used, surplus))
    selection = too_many_pods(policy, followed, scope.everybodys, told)
    narrower = _narrower(policy, wide, selection, followed)
    for used, surplus in wide:
        yield _of_rule(used, surplus, narrower)
    if selection is not None:
        yield _of_selection(selection, narrower)


def _narrower(
    policy: NetworkPolicy,
    wide: list[tuple[UsedRule, Surplus]],
    selection: Selection | None,
    followed: Followed,
) -> NetworkPolicy | None:
    """The policy without all of this; without a part of it, where the whole is not known to keep its
    flows."""
    cut = with_instead(policy, {_place(used): surplus.instead for used, surplus in wide})
    forms: list[NetworkPolicy] = []
    if selection is not None:
        selectors = list(for_its_pods(selection, followed.snapshot))
        forms += [replace(cut, pod_selector=selector) for selector in selectors]
        forms += [replace(policy, pod_selector=selector) for selector in selectors if wide]
    if wide:
        forms.append(cut)
        for used, surplus in wide if len(wide) > 1 else ():
            forms.append(with_instead(policy, {_place(used): surplus.instead}))
    return next((form for form in forms if followed.takes(policy, form)), None)


def _place(used: UsedRule) -> RulePlace:
    return used.direction, used.index


def _of_rule(used: UsedRule, surplus: Surplus, narrower: NetworkPolicy | None) -> Finding:
    policy, place = used.policy, f"spec.{used.direction.lower()}[{used.index}]"
    still_there = narrower is not None and used.rule in narrower.rules(used.direction)
    if narrower is None or still_there:
        remedy: tuple[NetworkPolicy, ...] = ()
        advice = _by_hand(used)
    else:
        remedy = (narrower,)
        advice = "the narrower rule is in the remedy" if surplus.instead else "remove the rule"
        advice += _left_open(used, surplus)
    message = f"{policy.ref}: {place} {surplus.clause}; {advice}"
    return Finding(Issue.BROAD_POLICY, Severity.WARNING, policy.ref, message, remedy=remedy, field=place)


def _by_hand(used: UsedRule) -> str:
    """What is said where no narrower rule is known."""
    unknown = _unknown_ends(used)
    if unknown:
        return (
            f"no narrower rule is known, since the address of {unknown} is not: name it with the setting "
            "apiServer.addresses, and in the rule"
        )
    return "no narrower rule is known that keeps every required flow: name their peers and ports in it"


def _left_open(used: UsedRule, surplus: Surplus) -> str:
    """What is added where the narrower rule still opens a port to every address."""
    unknown = _unknown_ends(used)
    if not unknown or all(rule.peers for rule in surplus.instead):
        return ""
    return (
        f"; the address of {unknown} is not known, so its port stays open to every address: name it with the "
        "setting apiServer.addresses"
    )


def _unknown_ends(used: UsedRule) -> str:
    """Who is called through an egress rule at addresses that nobody knows."""
    if used.direction is Direction.INGRESS:
        return ""
    ends = (far_end(judged, used.direction) for judged in used.flows)
    return " and ".join(sorted({str(end) for end in ends if isinstance(end, AnyPeer)}))


def _for_a_purpose(used: UsedRule, purpose: str) -> Finding:
    policy, place = used.policy, f"spec.{used.direction.lower()}[{used.index}]"
    message = f"{policy.ref}: {place} allows nothing that any flow of the control plane needs; {purpose}"
    return Finding(Issue.BROAD_POLICY, Severity.INFO, policy.ref, message, field=place)


def _of_selection(selection: Selection, narrower: NetworkPolicy | None) -> Finding:
    policy = selection.policy
    if narrower is None or narrower.pod_selector == policy.pod_selector:
        remedy: tuple[NetworkPolicy, ...] = ()
        advice = "write a policy for each of these by labels that no other pod has"
    else:
        remedy, advice = (narrower,), "the remedy selects no other"
    message = f"{policy.ref}: spec.podSelector {selection.clause}; {advice}"
    field = "spec.podSelector"
    return Finding(Issue.BROAD_POLICY, Severity.WARNING, policy.ref, message, remedy=remedy, field=field)
