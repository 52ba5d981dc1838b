"""What a cluster would look like with traffic denied by default everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import replace

from istio_netpol.analysis.results import Report
from istio_netpol.istio.view.injected_pods import as_injected
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.ahead import isolates_open_pods
from istio_netpol.remedies.combine import joined
from istio_netpol.state.snapshot import Snapshot

ASSUMED_NAME = "assumed-deny-all"
_ASSUMED = Assumption(
    "--assume-deny-all was given",
    f"a NetworkPolicy {ASSUMED_NAME} in each namespace that does not deny all traffic by default; "
    "before a real one, apply what is missing in the order in which "
    "`istio-netpol generate --assume-deny-all` prints them",
)


def assume_deny_all(snapshot: Snapshot) -> Snapshot:
    """The snapshot with a policy that denies both directions in every namespace which has none for all its
    pods."""
    assumed = []
    for name in snapshot.namespace_names:
        missing = frozenset(
            direction for direction in Direction if not snapshot.isolates_all(name, direction)
        )
        if missing and name not in KUBERNETES_NAMESPACES:
            ref = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", name, ASSUMED_NAME)
            assumed.append(NetworkPolicy(ref, EVERYTHING, missing))
    return snapshot.with_changes(put=assumed)


def with_remedies_ahead(report: Report, today: Snapshot, settings: Settings) -> Report:
    """The report of an assumed deny-all with remedies that can be applied before it is there: what isolates
    pods that are open today allows at once all that they need."""
    now = as_injected(today, settings.mesh)
    found = {
        policy.key: policy
        for finding in report.findings
        if isinstance(finding.rule, FlowKind)
        for policy in finding.remedy
    }
    together: defaultdict[Hashable, list[NetworkPolicy]] = defaultdict(list)
    for policy in found.values():
        if isolates_open_pods(policy, now):
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

    return replace(
        report,
        findings=tuple(map(complete, report.findings)),
        assumptions=(*report.assumptions, _ASSUMED),
    )


def _pods(policy: NetworkPolicy) -> Hashable:
    return (policy.namespace, policy.pod_selector, policy.policy_types)
