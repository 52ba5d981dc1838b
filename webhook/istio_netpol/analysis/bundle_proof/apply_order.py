"""The order in which a bundle is applied: a default-deny after what it must not cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from istio_netpol.analysis.bundle_proof.default_deny import denies_all
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.workloads import Namespace

ARGO_CD = "argocd.argoproj.io/"
SYNC_WAVE = f"{ARGO_CD}sync-wave"


def apply_order_findings(bundle: Sequence[ClusterObject]) -> Iterator[Finding]:
    """A finding for each policy that denies all of a namespace before another one allows something there: in
    the sync waves of Argo CD, or by its name, in whose order kubectl and Flux apply.

    It is a warning where nothing orders them, and an info where one of both does; the sync waves count where
    some object of the bundle speaks to Argo CD.
    """
    policies = [policy for policy in bundle if isinstance(policy, NetworkPolicy)]
    annotated = (member for member in bundle if isinstance(member, NetworkPolicy | Namespace))
    is_for_argo_cd = any(key.startswith(ARGO_CD) for member in annotated for key in member.annotations)
    for policy in filter(denies_all, policies):
        others = [other for other in _allowing(policies, policy.namespace) if other is not policy]
        wave = _wave(policy.annotations)
        by_wave = [other for other in others if _wave(other.annotations) >= wave]
        by_name = [other for other in others if other.name > policy.name]
        if by_wave:
            severity = Severity.WARNING if is_for_argo_cd or by_name else Severity.INFO
            yield _by_wave(policy, by_wave, severity)
        if by_name:
            yield _by_name(policy, by_name, Severity.WARNING if by_wave else Severity.INFO)


def _allowing(policies: Iterable[NetworkPolicy], namespace: str) -> Iterator[NetworkPolicy]:
    for policy in policies:
        if policy.namespace == namespace and any(map(policy.rules, policy.policy_types)):
            yield policy


def _wave(annotations: Mapping[str, str]) -> int:
    """Argo CD takes what is not a number for 0 (argoproj/gitops-engine `pkg/sync/syncwaves`)."""
    try:
        return int(annotations.get(SYNC_WAVE, "0"))
    except ValueError:
        return 0


def _by_wave(policy: NetworkPolicy, late: Sequence[NetworkPolicy], severity: Severity) -> Finding:
    last = max(_wave(other.annotations) for other in late)
    message = (
        f"{policy.ref}: Argo CD applies it in sync wave {_wave(policy.annotations)}, no later than the "
        f"policies that allow something there ({_named(late)}, up to wave {last}), so that connections are "
        f'cut until these follow; annotate it with {SYNC_WAVE}: "{last + 1}"'
    )
    field = f"metadata.annotations[{SYNC_WAVE}]"
    return Finding(Issue.APPLY_ORDER, severity, policy.ref, message, field=field)


def _by_name(policy: NetworkPolicy, late: Sequence[NetworkPolicy], severity: Severity) -> Finding:
    message = (
        f"{policy.ref}: kubectl and Flux apply policies by their names, this one before those that allow "
        f"something there ({_named(late)}), so that connections are cut until these follow; give it a "
        "name that comes last, such as zz-default-deny"
    )
    return Finding(Issue.APPLY_ORDER, severity, policy.ref, message, field="metadata.name")


def _named(policies: Sequence[NetworkPolicy]) -> str:
    """The first few by name."""
    more = f" and {len(policies) - 3} more" if len(policies) > 3 else ""
    return ", ".join(sorted(policy.name for policy in policies)[:3]) + more
