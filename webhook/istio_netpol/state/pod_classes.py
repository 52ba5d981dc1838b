"""Groups a namespace's controllers and pods into classes of pods that no policy can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import DialledApiServer, Owner, Workload

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


def classes_of_family(
    keys: Iterable[Key], members: Members, roots: Mapping[Key, ObjectRef], distinguishing: frozenset[str]
) -> Iterable[Workload]:
    """The classes of the members that share a root; `keys` are theirs, in order.

    Pods of a controller with equal labels, ports, service account and network mode are one class. The first,
    those like the template, carries the controller's name, and the controller owns the others. A controller's
    template is a class of its own unless running pods already carry its labels. `distinguishing` are the
    instance labels that selectors name.
    """
    family: list[Workload] = []
    root: ObjectRef | None = None
    controller: Workload | None = None
    for key in keys:
        controller = _controller(roots[key], members)
        # A controller that a known one owns is told by the latter's template.
        if key[0] == "Pod" or controller is None or roots[key] == members[key].ref:
            family.append(members[key])
            root = roots[key]
    return _family_classes(root, family, controller, INSTANCE_LABELS - distinguishing) if root else ()


def _controller(root: ObjectRef, members: Members) -> Workload | None:
    return members.get((root.kind, root.name)) if root.kind != "Pod" else None


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


def _family_classes(
    root: ObjectRef, family: list[Workload], controller: Workload | None, ignored: frozenset[str]
) -> Iterable[Workload]:
    if len(family) == 1 and family[0].ref == root:
        return [family[0]]
    groups: dict[object, list[Workload]] = {}
    for pod in family:
        if pod.ref.kind == "Pod":
            labels = frozenset(item for item in pod.labels.items() if item[0] not in ignored)
            groups.setdefault(
                (labels, pod.ports, pod.host_network, pod.service_account, pod.has_proxy), []
            ).append(pod)
    merged = [_merge(pods, controller, ignored) for pods in groups.values()]
    templates = [each for each in family if each.ref.kind != "Pod"]
    if templates and not any(_carries(each, templates[0]) for each in merged):
        merged.insert(0, templates[0])
    merged.sort(key=lambda each: (controller is None or not _carries(each, controller), each.ref.name))
    controlling = Owner(root.api_version, root.kind, root.name)
    return [
        replace(each, ref=root) if position == 0 else replace(each, owner=controlling)
        for position, each in enumerate(merged)
    ]


def _merge(pods: list[Workload], controller: Workload | None, ignored: frozenset[str]) -> Workload:
    first = min(pods, key=lambda pod: pod.ref.name)
    declared = controller or first
    return replace(
        first,
        labels={key: value for key, value in first.labels.items() if key not in ignored},
        selector=declared.selector,
        # One that is about to be created gets what its template brings, so nothing is settled for them all.
        exists=all(pod.exists for pod in pods),
        addresses=tuple(
            sorted({a for pod in pods for a in pod.addresses}, key=lambda a: (a.version, int(a)))
        ),
        node_addresses=tuple(
            sorted({a for pod in pods for a in pod.node_addresses}, key=lambda a: (a.version, int(a)))
        ),
        calls=first.calls or declared.calls,
        called_by=first.called_by or declared.called_by,
        api_servers=_union(pod.api_servers for pod in pods),
        injected_api_servers=_union(
            set(pod.injected_api_servers) - set(controller.api_servers if controller else ()) for pod in pods
        ),
    )


def _union(parts: Iterable[Iterable[DialledApiServer]]) -> tuple[DialledApiServer, ...]:
    """What any of the pods dial."""
    return tuple(sorted({dialled for part in parts for dialled in part}))


def _carries(pods: Workload, template: Workload) -> bool:
    return pods.labels.items() >= {
        k: v for k, v in template.labels.items() if k not in INSTANCE_LABELS
    }.items() and set(template.ports) <= set(pods.ports)
