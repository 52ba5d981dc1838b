"""Which pods belong together: those that share the controller that a person would edit."""

from __future__ import annotations

from collections.abc import Mapping

from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Owner, Workload

NAMED_IN_LABELS = frozenset({"Job", "CronJob"})
"""Kinds whose pods carry the name of the object in a label, for selectors to match (kubernetes.io, "Job",
"Pod template")."""

INSTANCE_LABELS = frozenset(
    {
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "job-name",
    }
)
"""Labels that controllers put on single pods or revisions (kubernetes.io well-known labels, Argo Rollouts).
They tell classes apart only where some selector of the cluster names them."""

_HASH_LABELS = {
    "pod-template-hash": ("apps/v1", "Deployment"),
    "rollouts-pod-template-hash": ("argoproj.io/v1alpha1", "Rollout"),
}
_NO_CONTROLLERS = frozenset({"", "Node"})
"""Kinds of owners that no workload is called after: none, and that of static pods (kubelet)."""

Key = tuple[str, str]
"""Kind and name of a member of a namespace."""

Members = Mapping[Key, Workload]

LONGEST_OWNERSHIP = 4
"""Owners that are followed from a pod to the controller that a person would edit; a ring ends here."""


def root_of(workload: Workload, members: Members) -> ObjectRef:
    """The controller that a person would edit, by ownerReferences, and by the template hash where a
    ReplicaSet was not read. A static pod is its own: it stands in a file of the node that owns it."""
    ref = workload.ref
    for _ in range(LONGEST_OWNERSHIP):
        owner = workload.owner
        if owner is None or owner.kind in _NO_CONTROLLERS:
            return ref
        parent = members.get((owner.kind, owner.name)) if owner.kind != "Pod" else None
        if parent is None:
            return _unread_owner(owner, workload)
        workload, ref = parent, parent.ref
    return ref


def _unread_owner(owner: Owner, workload: Workload) -> ObjectRef:
    for label, (api_version, kind) in _HASH_LABELS.items():
        suffix = "-" + workload.labels.get(label, "")
        if owner.kind == "ReplicaSet" and len(suffix) > 1 and owner.name.endswith(suffix):
            return ObjectRef(
                api_version,
                kind,
                workload.namespace,
                owner.name.removesuffix(suffix),
                workload.ref.file,
                workload.ref.line,
            )
    return ObjectRef(
        owner.api_version, owner.kind, workload.namespace, owner.name, workload.ref.file, workload.ref.line
    )
