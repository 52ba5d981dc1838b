"""The policies that a report proposes, each once."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.required_by import needers_of, with_needers

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
            if known is not policy:
                policies[policy.key] = with_needers(policy, needers_of(known)) if known else policy
    return tuple(sorted(policies.values(), key=lambda policy: (policy.namespace, policy.name)))
