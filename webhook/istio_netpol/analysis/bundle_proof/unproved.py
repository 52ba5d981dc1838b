"""What a proof can't tell because the given control plane lacks the objects for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.snapshot import Snapshot


def unproved(
    policies: Iterable[NetworkPolicy], proved: frozenset[str], snapshot: Snapshot, view: MeshView
) -> Iterator[Finding]:
    """An info for each namespace of the bundle in which nothing runs, besides those that are `proved` for
    pods to come; and one where there is no istiod."""
    counts = Counter(policy.namespace for policy in policies)
    for name, count in sorted(counts.items()):
        if name not in proved and not snapshot.workloads(name):
            ref = snapshot.namespace(name).ref
            noun = "policy" if count == 1 else "policies"
            message = (
                f"{ref}: the control plane has no workload there, so that nothing is proved of the {count} "
                f"{noun} of the bundle in it; add what runs there with --control-plane"
            )
            yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.INFO, ref, message)
    if all(map(view.is_stand_in, view.every_istiod())):
        ref = snapshot.namespace(view.root_namespace).ref
        message = (
            f"{ref}: the control plane holds no istiod, so that nothing is proved of what proxies and the "
            "API server need of it; add its Deployment with --control-plane"
        )
        yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.INFO, ref, message, field="istiod")
