"""Namespaces in which nobody should switch on a deny-all by a plan of ours, and why."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from istio_netpol.admission.counted import why_not_judged
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.settings import Settings
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE
from istio_netpol.state.snapshot import Snapshot

KYMA_MANAGED = ("operator.kyma-project.io/managed-by", "kyma")
"""On the namespaces of Kyma's modules: lifecycle-manager writes it (internal/remote/skr_context.go, 1.20)."""


class LeftAlone(Struct, frozen=True):
    """Why a namespace gets no deny-all. `untouched` says that it gets no other policy either."""

    reason: str
    untouched: bool = False


def left_alone(snapshot: Snapshot, settings: Settings) -> dict[str, LeftAlone]:
    """The namespaces of a snapshot that a plan leaves alone, by name."""
    return {
        name: reason
        for name in snapshot.namespace_names
        if (reason := next(_reasons(name, snapshot, settings), None))
    }


def _reasons(name: str, snapshot: Snapshot, settings: Settings) -> Iterator[LeftAlone]:
    namespace = snapshot.namespace(name)
    if name in KUBERNETES_NAMESPACES:
        yield LeftAlone("Kubernetes' own")
    if namespace.terminating:
        yield LeftAlone("being deleted", untouched=True)
    if name == settings.admission.own_namespace:
        yield LeftAlone("the webhook's own, which comes with its policies", untouched=True)
    not_judged = why_not_judged(name, snapshot, settings)
    if not_judged:
        yield LeftAlone(not_judged, untouched=True)
    key, value = KYMA_MANAGED
    if namespace.labels.get(key) == value or name == KYMA_NAMESPACE:
        yield LeftAlone(
            "managed by Kyma, whose modules bring policies of their own; SAP BTP refuses a deny-all here"
        )
