"""The policies that a report proposes, each once."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.required_by import needers_of, with_needers


def distinct_policies(findings: Iterable[Finding]) -> tuple[NetworkPolicy, ...]:
    """All remedies sorted by namespace and name; one that several findings propose names all who need it."""
    policies: dict[str, NetworkPolicy] = {}
    for finding in findings:
        for policy in finding.remedy:
            known = policies.get(policy.key)
            if known is not policy:
                policies[policy.key] = with_needers(policy, needers_of(known)) if known else policy
    return tuple(sorted(policies.values(), key=lambda policy: (policy.namespace, policy.name)))
