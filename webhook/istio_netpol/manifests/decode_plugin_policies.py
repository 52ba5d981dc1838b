"""Decodes whom Cilium's and Calico's policies select. They are never refused here: a selector that can't be
read counts as selecting.

Sources: Cilium documentation, network/kubernetes/policy and security/policy/intro, "Endpoint Selector";
Calico documentation, reference/resources/networkpolicy and globalnetworkpolicy (v3.30).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from istio_netpol.manifests.calico_selectors import NOBODY, CalicoSelector
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.unread import CALICO_LABELS, CILIUM_LABELS, Expression, SelectedPods, UnreadPolicy

_OF_PODS = ("", "any", "k8s")
"""The sources of labels by which Cilium's selectors find what Kubernetes says of a pod."""

_OF_THE_CLUSTER = "io.cilium.k8s.policy.cluster"
"""A label with the name of the cluster, which is not known here."""


def decode_cilium_policy(fields: Fields, ref: ObjectRef) -> Iterator[UnreadPolicy]:
    """A CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy: `spec`, `specs`, or both."""
    specs = [fields.content.get("spec"), *_listed(fields.content.get("specs"))]
    coverages = tuple(_of_cilium(spec) for spec in specs if isinstance(spec, dict))
    yield UnreadPolicy(ref, coverages, CILIUM_LABELS)


def decode_calico_policy(fields: Fields, ref: ObjectRef) -> Iterator[UnreadPolicy]:
    """Calico's NetworkPolicy or GlobalNetworkPolicy."""
    spec = fields.content.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    # The labels of service accounts are not known here, so `serviceAccountSelector` narrows nothing down.
    pods, namespaces = (CalicoSelector(_text(spec.get(name))) for name in ("selector", "namespaceSelector"))
    yield UnreadPolicy(ref, (SelectedPods(pods, namespaces, _types(spec)),), CALICO_LABELS)


def decode_without_effect(fields: Fields, ref: ObjectRef) -> Iterator[UnreadPolicy]:
    """A staged policy, which denies nothing, or a Tier, which selects nobody."""
    yield UnreadPolicy(ref, (), CALICO_LABELS)


def _of_cilium(spec: Mapping[str, Any]) -> SelectedPods:
    selector = spec.get("endpointSelector")
    if selector is None and spec.get("nodeSelector") is not None:
        return SelectedPods(NOBODY, EVERYTHING)
    directions = frozenset(
        direction
        for direction, names in (
            (Direction.INGRESS, ("ingress", "ingressDeny")),
            (Direction.EGRESS, ("egress", "egressDeny")),
        )
        if any(spec.get(name) is not None for name in names)
    )
    pods = _cilium_selector(selector) if isinstance(selector, dict) else EVERYTHING
    return SelectedPods(pods, EVERYTHING, directions or frozenset(Direction), _to_entities(spec))


def _to_entities(spec: Mapping[str, Any]) -> frozenset[str]:
    rules = (rule for rule in _listed(spec.get("egress")) if isinstance(rule, dict))
    entities = (entity for rule in rules for entity in _listed(rule.get("toEntities")))
    return frozenset(entity for entity in entities if isinstance(entity, str))


def _cilium_selector(selector: Mapping[str, Any]) -> Expression:
    """The selector without requirements of which nothing is known for pods."""
    labels = selector.get("matchLabels")
    pairs = [
        (key, value)
        for written, value in (labels.items() if isinstance(labels, dict) else ())
        if isinstance(value, str) and (key := _cilium_key(written))
    ]
    requirements = [
        requirement
        for entry in _listed(selector.get("matchExpressions"))
        if isinstance(entry, dict) and (requirement := _requirement(entry))
    ]
    return Selector(tuple(sorted(pairs)), tuple(requirements))


def _requirement(entry: Mapping[str, Any]) -> Requirement | None:
    key, values = _cilium_key(entry.get("key")), _listed(entry.get("values"))
    try:
        operator = Operator(str(entry.get("operator")))
    except ValueError:
        return None
    if not key or not all(isinstance(value, str) for value in values):
        return None
    return Requirement(key, operator, frozenset(values))


def _cilium_key(written: object) -> str:
    """A label's key without its source; empty where the label is none of a pod's."""
    if not isinstance(written, str):
        return ""
    source, _, key = written.rpartition(":")
    return key if source in _OF_PODS and key != _OF_THE_CLUSTER else ""


def _types(spec: Mapping[str, Any]) -> frozenset[Direction]:
    """Without `types`: Ingress; Egress where there are egress rules alone; both where there are both."""
    written = {str(policy_type) for policy_type in _listed(spec.get("types"))}
    if not written:
        has_egress, has_ingress = bool(spec.get("egress")), bool(spec.get("ingress"))
        written = {"Egress"} if has_egress else {"Ingress"}
        written |= {"Ingress"} if has_ingress else set()
    return frozenset(direction for direction in Direction if direction in written)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
