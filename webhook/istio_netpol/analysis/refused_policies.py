"""Findings about policies that a cluster refuses, or that could not be tried there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import DryRunOutcome, Tried
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE

WITHOUT_DENY = "kyma-btp"
"""The overlay for clusters that refuse a default-deny in Kyma's own namespaces."""

KYMA_NAMESPACES = frozenset({KYMA_NAMESPACE, "istio-system"})
"""In which SAP BTP, Kyma runtime refuses it (SAP-docs/btp-cloud-platform docs/50-administration-and-ops/
admission-policies-2e02ddb.md, "Enforce Kyma Workload Traffic", since 2026-02-24)."""


def refused_findings(tried: Iterable[Tried]) -> Iterator[Finding]:
    """An error for each policy that the cluster did not accept; a policy that could not be tried counts as
    not accepted."""
    for trial in tried:
        if trial.outcome is not DryRunOutcome.ACCEPTED:
            yield Finding(Issue.POLICY_REFUSED, Severity.ERROR, trial.policy.ref, _sentence(trial))


def _sentence(tried: Tried) -> str:
    ref = tried.policy.ref
    if tried.outcome is DryRunOutcome.NOT_TRIED:
        return f"{ref}: it is not seen whether the cluster takes it: {tried.message}"
    by = f" by {tried.by}" if tried.by else ""
    return f"{ref}: the cluster refuses it{by}; {advice(tried.policy)}. The API server says: {tried.message}"


def advice(policy: NetworkPolicy) -> str:
    """What to do about a policy that a cluster refuses."""
    if denies_all(policy) and policy.namespace in KYMA_NAMESPACES:
        return (
            f"SAP BTP does so with a default-deny in Kyma's own namespaces: take the overlay {WITHOUT_DENY}, "
            "which brings what pods need and no default-deny"
        )
    return "leave it out of the overlay, or ask who keeps the cluster's admission"


def denies_all(policy: NetworkPolicy) -> bool:
    """Whether a policy selects every pod of its namespace and opens nothing in some direction."""
    return policy.pod_selector.is_everything and any(
        not policy.rules(direction) for direction in policy.policy_types
    )
