"""Policies that others make needless: without them every pod is isolated as before, and as much is open."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import NetworkPolicy, PolicyRule
from istio_netpol.policy_lint.coverage import rule_within, selects_within


def needless(policies: Iterable[NetworkPolicy], wide: Container[str]) -> Iterator[Finding]:
    """An info for each policy of one namespace that others of it make needless, however the cluster changes.

    All of them may be deleted together: what one rests on is not called needless itself. The policies whose
    key is in `wide` should not stay as they are, so only copies of them rest on them.
    """
    kept = sorted(policies, key=lambda policy: (policy.ref.file, policy.ref.line or 0, policy.name))
    beside = _BySelector(kept)
    for policy in reversed(kept):
        because = _reason(policy, beside.around(policy), wide)
        if because:
            beside.drop(policy)
            message = f"{policy.ref}: {because}; delete it, and nothing changes"
            yield Finding(Issue.NEEDLESS_POLICY, Severity.INFO, policy.ref, message)


class _BySelector:
    """The policies of a namespace, by what finds those that select all pods of another one."""

    def __init__(self, policies: Iterable[NetworkPolicy]) -> None:
        self._places: dict[object, list[NetworkPolicy]] = {}
        for policy in policies:
            self._places.setdefault(_place(policy.pod_selector), []).append(policy)

    def around(self, policy: NetworkPolicy) -> list[NetworkPolicy]:
        """The other policies that select every pod which this one selects."""
        selector = policy.pod_selector
        places: Iterable[object] = ["", "expressions", *selector.match_labels]
        if selector.match_expressions:
            places = self._places
        return [
            other
            for place in places
            for other in self._places.get(place, ())
            if other is not policy and selects_within(selector, other.pod_selector)
        ]

    def drop(self, policy: NetworkPolicy) -> None:
        """Forgets one of them."""
        self._places[_place(policy.pod_selector)].remove(policy)


def _place(selector: Selector) -> object:
    """By what a selector is found: a pair that all its pods carry, where it names one."""
    if selector.match_labels:
        return selector.match_labels[0]
    return "expressions" if selector.match_expressions else ""


def _reason(policy: NetworkPolicy, around: Sequence[NetworkPolicy], wide: Container[str]) -> str:
    """Why a policy is needless; empty where it is not."""
    same = next((other for other in around if other.does_the_same(policy)), None)
    if same is not None:
        return f"does the same as NetworkPolicy {same.key}"
    if policy.key in wide:
        return ""
    has_rules = any(policy.rules(direction) for direction in policy.policy_types)
    # A policy that only denies says what holds whatever else is opened: an opening does not stand for it.
    others = [
        other
        for other in around
        if other.key not in wide
        and not other.policy_types.isdisjoint(policy.policy_types)
        and (has_rules or not any(map(other.rules, other.policy_types)))
    ]
    if not _is_covered(policy, others):
        return ""
    return f"opens and isolates nothing that {_listed(_least(policy, others))} would not without it"


def _is_covered(policy: NetworkPolicy, others: Sequence[NetworkPolicy]) -> bool:
    for direction in policy.policy_types:
        beside = [other for other in others if direction in other.policy_types]
        rules: list[PolicyRule] = [rule for other in beside for rule in other.rules(direction)]
        if not beside or not all(
            rule_within(rule, rules, policy.namespace) for rule in policy.rules(direction)
        ):
            return False
    return True


def _least(policy: NetworkPolicy, others: Sequence[NetworkPolicy]) -> list[NetworkPolicy]:
    """The others without those that are not needed to make the policy needless."""
    used = list(others)
    for other in others:
        rest = [each for each in used if each is not other]
        if _is_covered(policy, rest):
            used = rest
    return used


def _listed(policies: Sequence[NetworkPolicy]) -> str:
    kind = "NetworkPolicy" if len(policies) == 1 else "NetworkPolicies"
    return f"{kind} {', '.join(policy.key for policy in policies)}"
