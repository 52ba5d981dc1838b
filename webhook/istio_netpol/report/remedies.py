"""The policies that a report proposes, each once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from istio_netpol.model.findings import Finding
from istio_netpol.model.own_names import REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy

LARGE = 20
"""Peers and ports of a policy that a document holds once: a policy for many peers mends many findings, and
would stand in each of them with all its peers."""


class Printed:
    """The large policies that a document holds already."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def part(self, policies: Iterable[NetworkPolicy]) -> tuple[list[NetworkPolicy], list[str]]:
        """Those to print for one finding, and as `namespace/name` those that an earlier one has."""
        printed, named = [], []
        for policy in policies:
            if policy.key in self._keys:
                named.append(policy.key)
                continue
            printed.append(policy)
            if _size(policy) > LARGE:
                self._keys.add(policy.key)
        return printed, named


def _size(policy: NetworkPolicy) -> int:
    return sum(len(rule.peers) + len(rule.ports) for rule in (*policy.ingress, *policy.egress))


def distinct_policies(findings: Iterable[Finding]) -> tuple[NetworkPolicy, ...]:
    """All remedies sorted by namespace and name; one that several findings propose names all who need it."""
    policies: dict[str, NetworkPolicy] = {}
    for finding in findings:
        for policy in finding.remedy:
            known = policies.get(policy.key)
            policies[policy.key] = policy if known is None else _joined(known, policy)
    return tuple(sorted(policies.values(), key=lambda policy: (policy.namespace, policy.name)))


def _joined(known: NetworkPolicy, again: NetworkPolicy) -> NetworkPolicy:
    """Names hold a digest of the rules, so two policies of one name differ only in who needs them."""
    needed_by = {
        name
        for policy in (known, again)
        for name in policy.annotations.get(REQUIRED_BY, "").split(", ")
        if name
    }
    annotations = {**known.annotations, REQUIRED_BY: ", ".join(sorted(needed_by))}
    return replace(known, annotations=annotations) if needed_by else known
