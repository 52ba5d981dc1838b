"""Kyma's opt-in labels: pods that carry one are let through by a policy that Kyma keeps, which makes a policy
beside it needless. Source: kyma-project/istio, its page on network policies, module 1.26.

A label changes an object that somebody else wrote. It is added to a workload that is about to be created,
never to what a controller makes (a Deployment whose ReplicaSet differs from its template makes another one)
nor to what a GitOps tool compares with git.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from istio_netpol.admission.reviews import AdmissionRequest
from istio_netpol.analysis.impact import Impact
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.labels import KYMA_OPT_IN_PREFIX, LabelPair
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.workloads import Workload

KYMA_POLICIES = "kyma-project.io--"

TRACKING_LABELS = (
    "app.kubernetes.io/instance",
    "argocd.argoproj.io/",
    "helm.toolkit.fluxcd.io/",
    "kustomize.toolkit.fluxcd.io/",
)
TRACKING_ANNOTATIONS = ("argocd.argoproj.io/tracking-id",)
"""How Argo CD (in both of its ways) and Flux mark what they keep as it is in git. Helm charts set the first
label too: their objects get policies, as all would without the setting."""

ImpactOf = Callable[[Workload], Impact]


def labels_instead(
    request: AdmissionRequest, workload: Workload, impact: Impact, table: FlowTable, review: ImpactOf
) -> tuple[tuple[LabelPair, ...], Impact]:
    """The labels to add to the pods that a request creates, and what is left of its impact then; `review`
    tells the impact of a workload in its place."""
    labels: list[LabelPair] = []
    if not impact.policies or not _may_be_labelled(request, workload):
        return (), impact
    for key, value in sorted(set(_offered(table))):
        labelled = replace(workload, labels={**workload.labels, key: value})
        if key in workload.labels or _selecting(labelled, table) != _selecting(workload, table):
            continue
        after = review(labelled)
        if not after.isolating and _denied_sides(after) < _denied_sides(impact):
            workload, impact = labelled, after
            labels.append((key, value))
    return tuple(labels), impact


def patch_of(request: AdmissionRequest, labels: tuple[LabelPair, ...]) -> list[JsonObject]:
    """The JSON Patch that adds labels to the pods of a request's object."""
    if not labels:
        return []
    steps = _TEMPLATES.get(request.kind.kind, ("spec", "template"))
    template: Any = request.object
    for step in steps:
        template = template[step]
    path = "".join(f"/{step}" for step in (*steps, "metadata"))
    metadata = template.get("metadata")
    if not metadata:
        return [{"op": "add", "path": path, "value": {"labels": dict(labels)}}]
    if not metadata.get("labels"):
        return [{"op": "add", "path": f"{path}/labels", "value": dict(labels)}]
    return [{"op": "add", "path": f"{path}/labels/{_escaped(key)}", "value": value} for key, value in labels]


_TEMPLATES = {"Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template")}
"""Where kinds that differ from the others hold what their pods are made from. Only what was read as a
workload gets labels, so it is there."""


def _escaped(key: str) -> str:
    """A key as a JSON Pointer spells it (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _may_be_labelled(request: AdmissionRequest, workload: Workload) -> bool:
    metadata = (request.object or {}).get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return (
        request.operation == "CREATE"
        and workload.owner is None
        and not _has(metadata.get("labels"), TRACKING_LABELS)
        and not _has(metadata.get("annotations"), TRACKING_ANNOTATIONS)
    )


def _has(found: Any, prefixes: tuple[str, ...]) -> bool:
    return isinstance(found, dict) and any(str(key).startswith(prefixes) for key in found)


def _offered(table: FlowTable) -> Iterator[LabelPair]:
    """The labels that Kyma's policies look for in peers, where only administrators write."""
    snapshot = table.snapshot
    for namespace in sorted(table.view.trusted_namespaces.intersection(snapshot.namespace_names)):
        for policy in snapshot.of_type(NetworkPolicy, namespace):
            if policy.name.startswith(KYMA_POLICIES):
                yield from _looked_for(policy)


def _looked_for(policy: NetworkPolicy) -> Iterator[LabelPair]:
    for rule in policy.ingress + policy.egress:
        for peer in rule.peers:
            for key, value in peer.pod_selector.match_labels if peer.pod_selector else ():
                if key.startswith(KYMA_OPT_IN_PREFIX):
                    yield key, value


def _selecting(workload: Workload, table: FlowTable) -> set[str]:
    """The policies that select the pods, and so isolate them."""
    every = table.snapshot.of_type(NetworkPolicy, workload.namespace)
    return {policy.name for policy in every if policy.pod_selector.matches(workload.labels)}


def _denied_sides(impact: Impact) -> int:
    verdicts = [finding.verdict for finding in impact.findings if finding.verdict is not None]
    return sum((not verdict.egress.allowed) + (not verdict.ingress.allowed) for verdict in verdicts)
