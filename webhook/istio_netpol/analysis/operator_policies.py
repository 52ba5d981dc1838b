"""Policies that come with Kyma or Istio: their own operators and charts put back what somebody edits.

Sources: kyma-project/istio and kyma-project/api-gateway, labels of their NetworkPolicies; istio/istio
`manifests/charts/istio-control/istio-discovery/templates/networkpolicy.yaml` and `istio.labels` (Istio 1.28).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.labels import Labels
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.snapshot import Snapshot

_VENDORS_KEYS = frozenset(
    {
        "kyma-project.io/module",
        "kyma-project.io/managed-by",
        "operator.kyma-project.io/managed-by",
        "operator.istio.io/component",
        "install.operator.istio.io/owning-resource",
    }
)
_VENDORS_LABELS = frozenset(
    {("app.kubernetes.io/managed-by", "kyma"), ("app.kubernetes.io/part-of", "istio")}
)


def is_of_a_vendor(labels: Labels) -> bool:
    """Whether labels say that Kyma or Istio keeps an object."""
    return not (_VENDORS_KEYS.isdisjoint(labels) and _VENDORS_LABELS.isdisjoint(labels.items()))


def for_owners(findings: Iterable[Finding], snapshot: Snapshot) -> Iterator[Finding]:
    """The findings, in which those about policies that an operator keeps are infos: their reader can't edit
    such a policy."""
    for finding in findings:
        ref = finding.object
        policy = snapshot.find(NetworkPolicy, ref.namespace, ref.name) if finding.flow is None else None
        is_theirs = policy is not None and policy.ref.kind == ref.kind and is_of_a_vendor(policy.labels)
        is_judged = finding.failure is None
        yield replace(finding, severity=Severity.INFO) if is_theirs and is_judged else finding
