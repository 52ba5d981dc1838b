"""What the proof of a bundle returns, and what a cluster that somebody names adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage.results import Coverage
from istio_netpol.analysis.bundle_proof.default_deny import denies_all
from istio_netpol.analysis.denial_wording import NAMED_BY_SETTING
from istio_netpol.analysis.results import Report
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import DryRunOutcome, Tried
from istio_netpol.model.verdicts import Judged
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE

BundleObjects = Sequence[ClusterObject]
"""Decoded objects, in any order."""


class PolicyChanges(Struct, frozen=True):
    """How a bundle's policies differ from its base's, as sorted `namespace/name`."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class BundleReport(Struct, frozen=True):
    """The findings, every required flow with what allows it, the difference from the base, what the bundle
    meets in a cluster, where one was named, and what came of trying it there."""

    report: Report
    flows: tuple[Judged, ...]
    changes: PolicyChanges
    coverage: Coverage | None = None
    dry_run: tuple[Tried, ...] = ()


def with_coverage(proof: BundleReport, coverage: Coverage) -> BundleReport:
    """The proof with what the bundle meets in a cluster. A connection of which both tell is reported once."""
    known = {_identity(finding) for finding in proof.report.findings}
    new = [finding for finding in coverage.findings if _identity(finding) not in known]
    proof = with_findings(proof, new)
    assumptions = tuple(sorted({*proof.report.assumptions, *coverage.assumptions}))
    return replace(proof, report=replace(proof.report, assumptions=assumptions), coverage=coverage)


def with_findings(proof: BundleReport, more: Iterable[Finding]) -> BundleReport:
    """The proof with what else was found."""
    findings = sorted([*proof.report.findings, *more], key=lambda finding: finding.sort_key)
    return replace(proof, report=replace(proof.report, findings=tuple(findings)))


def with_dry_run(proof: BundleReport, tried: tuple[Tried, ...]) -> BundleReport:
    """The proof with what came of trying the bundle's policies on a cluster."""
    return replace(with_findings(proof, _refused_findings(tried)), dry_run=tried)


def with_unknown_addresses(proof: BundleReport) -> BundleReport:
    """The proof with what it took for granted of the API server's address."""
    assumptions = sorted({*proof.report.assumptions, *_assumed(proof)})
    return replace(proof, report=replace(proof.report, assumptions=tuple(assumptions)))


def _assumed(proof: BundleReport) -> Iterator[Assumption]:
    asked = {judged.flow.destination for judged in proof.flows}
    for peer, setting in NAMED_BY_SETTING.items():
        if peer in asked:
            yield Assumption(
                f"the address of {peer} is not known",
                f"that the policies name the right one; with {setting} in environment.yaml, or with "
                "--cluster-dump, the proof compares it",
            )


def _identity(finding: Finding) -> tuple[object, ...]:
    return (finding.rule, finding.object.key, finding.field, finding.flow.key if finding.flow else ())


def changes(base: BundleObjects, bundle: BundleObjects) -> PolicyChanges:
    """Which policies the bundle adds to its base, changes and leaves out."""
    before, after = _by_key(base), _by_key(bundle)
    return PolicyChanges(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(key for key in after.keys() & before.keys() if after[key] != before[key])),
        tuple(sorted(before.keys() - after.keys())),
    )


def _by_key(objects: BundleObjects) -> dict[str, tuple[object, ...]]:
    return {
        policy.key: (policy.pod_selector, policy.policy_types, policy.ingress, policy.egress)
        for policy in policies_in(objects)
    }


def policies_in(objects: BundleObjects) -> tuple[NetworkPolicy, ...]:
    """The NetworkPolicies among decoded objects."""
    return tuple(policy for policy in objects if isinstance(policy, NetworkPolicy))


WITHOUT_DENY = "kyma-btp"
"""The overlay for clusters that refuse a default-deny in Kyma's own namespaces."""

KYMA_NAMESPACES = frozenset({KYMA_NAMESPACE, "istio-system"})
"""In which SAP BTP, Kyma runtime refuses it (SAP-docs/btp-cloud-platform docs/50-administration-and-ops/
admission-policies-2e02ddb.md, "Enforce Kyma Workload Traffic", since 2026-02-24)."""


def _refused_findings(tried: Iterable[Tried]) -> Iterator[Finding]:
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
