"""What a cluster would look like with traffic denied by default everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Iterable

from msgspec.structs import replace

from istio_netpol.analysis.results import Report
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.ahead import Today
from istio_netpol.remedies.combine import joined
from istio_netpol.state.snapshot import Snapshot

ASSUMED_NAME = "assumed-deny-all"
_ASSUMED = Assumption(
    "--assume-deny-all was given",
    f"a NetworkPolicy {ASSUMED_NAME} in each namespace of the input that does not deny all traffic by "
    "default, but in Kubernetes' own; before a real one, apply what is missing in the order in which "
    "`istio-netpol generate --assume-deny-all` prints it",
)


def assume_deny_all(snapshot: Snapshot) -> Snapshot:
    """The snapshot with a policy that denies both directions in every namespace which has none for all its
    pods; not in Kubernetes' own namespaces."""
    return snapshot.with_changes(put=denials(snapshot, ASSUMED_NAME, KUBERNETES_NAMESPACES))


def denials(snapshot: Snapshot, policy_name: str, left_alone: Container[str]) -> tuple[NetworkPolicy, ...]:
    """A policy for each namespace in which something is open for all pods, sorted: it denies what no other
    one denies yet."""
    found = []
    for name in snapshot.namespace_names:
        missing = frozenset(
            direction for direction in Direction if not snapshot.isolates_all(name, direction)
        )
        if missing and name not in left_alone:
            free = _free_name(policy_name, name, snapshot)
            ref = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", name, free)
            found.append(NetworkPolicy(ref, EVERYTHING, missing))
    return tuple(sorted(found, key=lambda policy: policy.key))


def _free_name(name: str, namespace: str, snapshot: Snapshot) -> str:
    """A name that no policy of the namespace has: a denial takes nobody's place."""
    while snapshot.find(NetworkPolicy, namespace, name):
        name += "-too"
    return name


def told_of_today(report: Report, snapshot: Snapshot, today: Snapshot, settings: Settings) -> Report:
    """The report of a snapshot's assumed deny-all for who has the snapshot as it is, with remedies that can
    be applied to the cluster of `today` before a real deny-all."""
    return replace(
        report,
        findings=_with_remedies_ahead(report.findings, Today.of(today, settings)),
        summary=replace(report.summary, objects=snapshot.object_count),
        assumptions=(*report.assumptions, _ASSUMED),
    )


def _with_remedies_ahead(findings: Iterable[Finding], today: Today) -> tuple[Finding, ...]:
    """The findings with remedies of which each that isolates pods allows at once all that they need."""
    findings = tuple(findings)
    found = {
        policy.key: policy
        for finding in findings
        if isinstance(finding.rule, FlowKind)
        for policy in finding.remedy
    }
    together: defaultdict[Hashable, list[NetworkPolicy]] = defaultdict(list)
    for policy in found.values():
        if today.isolates_open_pods(policy):
            together[_pods(policy)].append(policy)
    whole = {pods: joined(policies)[0] for pods, policies in together.items()}

    def complete(finding: Finding) -> Finding:
        if isinstance(finding.rule, FlowKind):
            remedy = [whole.get(_pods(policy), policy) for policy in finding.remedy]
        elif finding.rule is Issue.CONSENT_MISSING:
            remedy = [
                policy
                for proposal in finding.remedy
                for policy in joined([*together.get(_pods(proposal), ()), proposal])
            ]
        else:
            return finding
        return replace(finding, remedy=tuple(dict.fromkeys(remedy)))

    return tuple(map(complete, findings))


def _pods(policy: NetworkPolicy) -> Hashable:
    return (policy.namespace, policy.pod_selector, policy.policy_types)
