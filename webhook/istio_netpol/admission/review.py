"""One request against one state of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.admission import request_warnings
from istio_netpol.admission.cleared import Cleared, WatchedResolver, pods_of
from istio_netpol.admission.decision import (
    ADMITTED,
    Circumstances,
    Decision,
    decide_late,
    decide_mutation,
    decide_validation,
)
from istio_netpol.admission.denial import DenialReader
from istio_netpol.admission.modes import effective_mode
from istio_netpol.admission.opt_in import labels_instead
from istio_netpol.admission.reviews import AdmissionRequest
from istio_netpol.admission.scope import is_judged, namespace_of
from istio_netpol.analysis.impact import Impact, review_change
from istio_netpol.errors import Problem
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.failures import NO_DEADLINE, Deadline, OutOfTimeError, Undecoded
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.labels import LabelPair
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Mode
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.contents import say_the_same

SOURCE = "the request"
CLEARED_BEFORE = Impact()
"""No impact, by an earlier review; told by identity from one that was worked out now."""

NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
"""Who empties a namespace that was deleted, perhaps before the snapshot shows that it was."""


class ProposedChange(Struct, frozen=True):
    """What a request would change: the objects it stores and deletes, those that it replaces, and what could
    not be read of it."""

    put: tuple[ClusterObject, ...] = ()
    remove: tuple[ClusterObject, ...] = ()
    old: tuple[ClusterObject, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def is_idle(self) -> bool:
        """Whether the update changes nothing that any rule or policy reads."""
        return len(self.put) == len(self.old) and all(map(say_the_same, self.put, self.old))


def decide(
    request: AdmissionRequest,
    table: FlowTable,
    resolver: Resolver,
    *,
    mutating: bool,
    cleared: Cleared | None = None,
    deadline: Deadline = NO_DEADLINE,
    change: Callable[[], ProposedChange] | None = None,
    impacts: dict[FlowTable, Impact] | None = None,
) -> Decision:
    """The decision on a request; what to write is the caller's to do. What is `cleared` is not worked out
    again, and what is not worked out by the `deadline` is decided by the mode. `change` is what the request
    does, and `impacts` what it costs by each table so far, for whoever asks more than once."""
    settings = table.settings.admission
    if not is_judged(request, settings):
        return ADMITTED
    changed = change() if change else change_of(request)
    namespace = namespace_of(request)
    effective = effective_mode(namespace, _labels_after(namespace, changed, table), settings)
    if effective.mode is Mode.OFF or (mutating and effective.mode is not Mode.AUGMENT):
        return ADMITTED
    if changed.problems:
        return (
            ADMITTED
            if mutating
            else Decision(warnings=request_warnings.of_sentences(map(str, changed.problems)))
        )
    if _passes(request, changed, table):
        return ADMITTED
    circumstances = Circumstances(
        request.described,
        effective.mode,
        bool(request.dry_run),
        _is_spared(changed, table),
        DenialReader(namespace, settings.contact, table.settings.rule_pages),
    )

    def review(put: tuple[ClusterObject, ...], cleared: Cleared) -> Impact:
        known = impacts if impacts is not None and put is changed.put else {}
        if table not in known:
            judged = replace(changed, put=put)
            known[table] = _impact(request, judged, table, resolver, effective.mode, cleared, deadline)
        return known[table]

    try:
        impact = review(changed.put, cleared or Cleared())
        decision = _mutation(request, changed, table, circumstances, impact, review) if mutating else ADMITTED
    except OutOfTimeError:
        return ADMITTED if mutating else decide_late(circumstances)
    if not mutating:
        decision = _remarked(decide_validation(circumstances, impact), effective.remark)
    admitted = _admitted(request, changed) if decision.allowed and not mutating else ()
    return replace(decision, admitted=admitted, worked_out=impact is not CLEARED_BEFORE)


def _mutation(
    request: AdmissionRequest,
    change: ProposedChange,
    table: FlowTable,
    circumstances: Circumstances,
    impact: Impact,
    review: Callable[[tuple[ClusterObject, ...], Cleared], Impact],
) -> Decision:
    """What to write, and which labels to add where that makes a policy needless."""
    labels: tuple[LabelPair, ...] = ()
    if table.settings.admission.kyma_labels and len(change.put) == 1 and isinstance(change.put[0], Workload):
        labels, impact = labels_instead(
            request, change.put[0], impact, table, lambda workload: review((workload,), Cleared())
        )
    decision = decide_mutation(circumstances, impact)
    return replace(decision, labels=labels, warnings=(*request_warnings.labelled(labels), *decision.warnings))


def _impact(
    request: AdmissionRequest,
    change: ProposedChange,
    table: FlowTable,
    resolver: Resolver,
    mode: Mode,
    cleared: Cleared,
    deadline: Deadline,
) -> Impact:
    """The flows that the request would cut. Where pods are not to start without their flows, it does not
    excuse new ones that others like them run without."""
    pods = pods_of(request, change.put, table)
    if cleared.has(pods, table):
        return CLEARED_BEFORE
    is_kept_whole = mode is Mode.AUGMENT or table.settings.admission.deny_controlled_pods
    asked = WatchedResolver(resolver)
    impact = review_change(
        table,
        change.put,
        change.remove,
        asked,
        change.old,
        namespace_of(request),
        starting=is_kept_whole and request.operation == "CREATE",
        deadline=deadline,
    )
    if impact.is_nothing and not asked.anything:
        cleared.add(pods, table, impact.judged_in)
    return impact


def change_of(request: AdmissionRequest) -> ProposedChange:
    """What a request does to the cluster."""
    new, new_problems = _decoded(request.object, request)
    # What is created replaces nothing, whatever a review says.
    replaced = request.old_object if request.operation != "CREATE" else None
    old, old_problems = _decoded(replaced, request)
    if request.operation == "DELETE":
        return ProposedChange(remove=old, old=old, problems=old_problems)
    return ProposedChange(put=new, old=old if not old_problems else (), problems=new_problems)


def _decoded(
    content: JsonObject | None, request: AdmissionRequest
) -> tuple[tuple[ClusterObject, ...], tuple[Problem, ...]]:
    """The model values of an object; the request says what it is and where it lives, whatever the object
    says."""
    if not content:
        return (), ()
    kind, metadata = request.kind, content.get("metadata")
    said: JsonObject = {"apiVersion": f"{kind.group}/{kind.version}" if kind.group else kind.version}
    said["kind"] = kind.kind
    if isinstance(metadata, dict | None):
        written = metadata or {}
        name = request.name or written.get("name") or None
        said["metadata"] = {**written, "name": name, "namespace": request.namespace}
    values, problems = decode(
        RawObject({**content, **said}, SOURCE, 0, is_from_api=True), request.namespace or "default"
    )
    failed = [value for value in values if isinstance(value, Undecoded)]
    problems += [Problem(SOURCE, None, str(item.ref), None, None, str(item.failure), None) for item in failed]
    values = [] if failed else values
    return tuple(values), tuple(problems)


def _labels_after(namespace: str, change: ProposedChange, table: FlowTable) -> Any:
    own = next((value for value in change.put if isinstance(value, Namespace)), None)
    return own.labels if own else table.snapshot.namespace(namespace).labels


def _passes(request: AdmissionRequest, change: ProposedChange, table: FlowTable) -> bool:
    """Whether nothing needs judging: nothing that matters changes, or the namespace is on its way out."""
    if request.operation == "UPDATE" and change.is_idle:
        return True
    if not change.put and not change.remove:
        return True
    if request.operation != "DELETE":
        return False
    is_emptied = request.user_info.username == NAMESPACE_CONTROLLER
    return is_emptied or table.snapshot.namespace(namespace_of(request)).terminating


def _is_spared(change: ProposedChange, table: FlowTable) -> bool:
    """What a controller makes, be it pods or the ReplicaSet or Job before them: denying it would turn a
    node's failure, a rollback or a CronJob's next run into an outage."""
    if table.settings.admission.deny_controlled_pods:
        return False
    return any(isinstance(value, Workload) and value.owner for value in change.put)


def _admitted(request: AdmissionRequest, change: ProposedChange) -> tuple[NetworkPolicy, ...]:
    """The new policies that the API server stores next, unless somebody else objects."""
    if request.operation != "CREATE" or request.dry_run:
        return ()
    return tuple(value for value in change.put if isinstance(value, NetworkPolicy))


def _remarked(decision: Decision, remark: str) -> Decision:
    if not remark:
        return decision
    return replace(decision, warnings=request_warnings.of_sentences([remark, *decision.warnings]))
