"""Policies that others make needless: without them every pod is isolated as before, and as much is open."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import product

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.policies import NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.policy_lint.containment import rule_within, selects_within


def needless(policies: Iterable[NetworkPolicy], wide: Container[str]) -> Iterator[Finding]:
    """An info for each policy of one namespace that others of it make needless, however the cluster changes.

    All of them may be deleted together: what one rests on is not called needless itself. The policies whose
    key is in `wide` should not stay as they are, so only copies of them rest on them.
    """
    kept = sorted(policies, key=lambda policy: (policy.ref.file, policy.ref.line or 0, policy.name))
    beside = _Neighbours(kept)
    for policy in reversed(kept):
        because = _reason(policy, beside.around(policy), wide)
        if because:
            beside.drop(policy)
            message = f"{policy.ref}: {because}; delete it, and nothing changes"
            yield Finding(Issue.NEEDLESS_POLICY, Severity.INFO, policy.ref, message)


class _Neighbours:
    """The policies of a namespace, to find those that may stand for another one without a look at each: by a
    pair of labels that their pods carry, and one that the peers of some rule carry."""

    def __init__(self, policies: Iterable[NetworkPolicy]) -> None:
        self._places: dict[tuple[object, object], dict[str, NetworkPolicy]] = {}
        for policy in policies:
            for peers in self._peer_places(policy):
                place = (_place(policy.pod_selector), peers)
                self._places.setdefault(place, {})[policy.key] = policy

    def around(self, policy: NetworkPolicy) -> list[NetworkPolicy]:
        """The other policies that select every pod which this one selects, and may allow what it allows."""
        pods, peers = self._pairs(policy.pod_selector), self._needed_places(policy)
        found: dict[str, NetworkPolicy] = {}
        for place in product(pods, peers) if None not in (*pods, *peers) else self._places:
            found.update(self._places.get(place, {}))
        found.pop(policy.key, None)
        return [other for other in found.values() if selects_within(policy.pod_selector, other.pod_selector)]

    def drop(self, policy: NetworkPolicy) -> None:
        """Removes a policy from the search."""
        for peers in self._peer_places(policy):
            self._places[_place(policy.pod_selector), peers].pop(policy.key, None)

    @staticmethod
    def _peer_places(policy: NetworkPolicy) -> set[object]:
        """The peers under which a policy is filed."""
        rules = [rule for direction in policy.policy_types for rule in policy.rules(direction)]
        found: set[object] = {_peer_place(peer) for rule in rules for peer in rule.peers}
        return found | {_EVERYBODY for rule in rules if not rule.peers} or {_NO_RULES}

    def _needed_places(self, policy: NetworkPolicy) -> set[object]:
        """Where the policies are that may allow what this one allows; None for anywhere."""
        rules = [rule for direction in policy.policy_types for rule in policy.rules(direction)]
        if not rules:
            return {_NO_RULES}
        found: set[object] = {_EVERYBODY, _NO_RULES}
        for peer in (peer for rule in rules for peer in rule.peers):
            own = namespace_named(policy.namespace)
            found |= {_BLOCK} if peer.ip_block else self._pairs(peer.pod_selector or EVERYTHING)
            found |= self._pairs(peer.namespace_selector or own)
        return found

    @staticmethod
    def _pairs(selector: Selector) -> set[object]:
        """The pairs of labels of a selector; None where expressions may say the same as pairs."""
        return {"", *selector.match_labels, *([None] if selector.match_expressions else [])}


_EVERYBODY, _BLOCK, _NO_RULES = "", "ipBlock", "no rules"
"""Where policies are found that have no pair of labels."""


def _peer_place(peer: PolicyPeer) -> object:
    if peer.ip_block is not None:
        return _BLOCK
    return _place(peer.pod_selector or EVERYTHING) or _place(peer.namespace_selector or EVERYTHING)


def _place(selector: Selector) -> object:
    """By what a selector is found: a pair that all its pods carry, where it names one."""
    return selector.match_labels[0] if selector.match_labels else ""


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
        rest = [rule for rule in used if rule is not other]
        if _is_covered(policy, rest):
            used = rest
    return used


def _listed(policies: Sequence[NetworkPolicy]) -> str:
    kind = "NetworkPolicy" if len(policies) == 1 else "NetworkPolicies"
    return f"{kind} {', '.join(policy.key for policy in policies)}"
