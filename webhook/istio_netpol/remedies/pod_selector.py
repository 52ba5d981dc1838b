"""The selector by which a policy names exactly one workload's pods."""

from __future__ import annotations

from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.tiers import is_closed
from istio_netpol.state.pod_classes import INSTANCE_LABELS
from istio_netpol.state.snapshot import Snapshot

INJECTED_LABELS = frozenset(
    {
        "security.istio.io/tlsMode",
        "service.istio.io/canonical-name",
        "service.istio.io/canonical-revision",
        "istio.io/rev",
    }
)
"""Labels that istiod adds to pods at injection (Istio 1.32, `injection-template.yaml`): not yet there when
a policy must be."""


def selector_of(workload: Workload, snapshot: Snapshot) -> Selector | None:
    """The stablest selector that names the workload and, where labels permit, nothing else; None for pods
    without labels.

    The controller's own selector is immutable and so outlives a rollout; where it also matches other
    workloads, or is a ReplicaSet's and names one revision, all stable labels of the template are used.
    """
    labels = _stable_labels(workload)
    exact = Selector.of(labels) if labels else None
    declared = workload.selector
    if declared is None or declared.is_everything or not declared.matches(workload.labels):
        return exact
    if any(key in INSTANCE_LABELS for key, _ in declared.match_labels):
        return exact
    names_others = any(
        other.ref.key != workload.ref.key for other in snapshot.select(workload.namespace, declared)
    )
    return exact if names_others else declared


def newly_isolated(
    selector: Selector, namespace: str, direction: Direction, snapshot: Snapshot
) -> tuple[Workload, ...]:
    """The workloads that a policy with this selector would isolate though nothing isolates them today, nor
    does the Baseline tier leave them nothing that could be cut."""
    return tuple(
        workload
        for workload in snapshot.select(namespace, selector)
        if not workload.host_network
        and not any(direction in policy.policy_types for policy in snapshot.policies_for(workload))
        and not is_closed(workload, direction, snapshot)
    )


def _stable_labels(workload: Workload) -> dict[str, str]:
    added = INSTANCE_LABELS | INJECTED_LABELS
    return {key: value for key, value in workload.labels.items() if key not in added}
