"""Namespaces in which nobody should switch on a deny-all by a plan of ours, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from istio_netpol.admission.modes import effective_mode
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES, MODE_LABEL
from istio_netpol.model.settings import AdmissionSettings, Mode
from istio_netpol.model.workloads import Namespace
from istio_netpol.state.snapshot import Snapshot

KYMA_MANAGED = ("operator.kyma-project.io/managed-by", "kyma")
"""On the namespaces of Kyma's modules: lifecycle-manager writes it (internal/remote/skr_context.go, 1.20)."""

KYMA_NAMESPACE = "kyma-system"


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Why a namespace gets no deny-all. `untouched` says that it gets no other policy either."""

    reason: str
    untouched: bool = False


def left_alone(snapshot: Snapshot, settings: AdmissionSettings) -> dict[str, LeftAlone]:
    """The namespaces of a snapshot that a plan leaves alone, by name."""
    return {
        name: reason
        for name in snapshot.namespace_names
        if (reason := next(_reasons(snapshot.namespace(name), settings), None))
    }


def _reasons(namespace: Namespace, settings: AdmissionSettings) -> Iterator[LeftAlone]:
    name, labels = namespace.name, namespace.labels
    if name in KUBERNETES_NAMESPACES:
        yield LeftAlone("Kubernetes' own")
    if namespace.terminating:
        yield LeftAlone("being deleted", untouched=True)
    if name == settings.own_namespace:
        yield LeftAlone("istio-netpol's own, which comes with its policies", untouched=True)
    if name in settings.exempt_namespaces:
        yield LeftAlone("exempt by the setting admission.exemptNamespaces", untouched=True)
    if effective_mode(name, labels, settings).mode is Mode.OFF:
        label = labels.get(MODE_LABEL)
        why = f"label {MODE_LABEL}={label}" if label else "setting admission.defaultMode"
        yield LeftAlone(f"mode off ({why})", untouched=True)
    key, value = KYMA_MANAGED
    if labels.get(key) == value or name == KYMA_NAMESPACE:
        yield LeftAlone(
            "managed by Kyma, whose modules bring policies of their own; SAP BTP refuses a deny-all here"
        )
