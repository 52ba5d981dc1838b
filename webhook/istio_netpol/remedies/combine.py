"""Policies that can be applied one after the other, although each of them isolates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from istio_netpol.model.own_names import FLOW_LABEL, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy, PolicyRule


def joined(policies: Iterable[NetworkPolicy]) -> tuple[NetworkPolicy, ...]:
    """One policy for all policies that select the same pods for the same direction, sorted.

    The first policy that selects pods isolates them from all that it does not allow. Where nothing isolated
    them before, it must therefore allow at once all that they need: applied one by one, the policies of
    several flows would each cut the others, for as long as the rest is missing.
    """
    groups: dict[object, list[NetworkPolicy]] = {}
    for policy in sorted(policies, key=lambda each: (each.namespace, each.name)):
        groups.setdefault((policy.namespace, policy.pod_selector, policy.policy_types), []).append(policy)
    found = [group[0] if len(group) == 1 else _one(group) for group in groups.values()]
    return tuple(sorted(found, key=lambda each: (each.namespace, each.name)))


def _one(group: Sequence[NetworkPolicy]) -> NetworkPolicy:
    first = group[0]
    digest = sha256(repr([each.name for each in group]).encode()).hexdigest()[:8]
    directions = "-".join(sorted(str(each).lower() for each in first.policy_types))
    subject = first.name.removeprefix(f"{first.labels[FLOW_LABEL]}-").rpartition("-")[0]
    needed_by = {each for policy in group for each in policy.annotations[REQUIRED_BY].split(", ")}
    return replace(
        first,
        ref=replace(first.ref, name=f"{directions}-{subject}-{digest}"),
        ingress=_rules(each.ingress for each in group),
        egress=_rules(each.egress for each in group),
        annotations={REQUIRED_BY: ", ".join(sorted(needed_by))},
    )


def _rules(parts: Iterable[tuple[PolicyRule, ...]]) -> tuple[PolicyRule, ...]:
    return tuple(dict.fromkeys(rule for part in parts for rule in part))
