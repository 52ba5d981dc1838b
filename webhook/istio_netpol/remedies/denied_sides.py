"""From denied flows to the sides that must open, and who may open them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from istio_netpol.istio.components import ISTIOD, component_of
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload

TENANT_EGRESS = frozenset({FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.ISTIOD_TO_JWKS})
"""Flows for which a tenant's object may open egress where only administrators write: from a gateway to the
pods that it exposes, from istiod to the keys it names."""

AGREED = frozenset({FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.WORKLOAD_TO_WORKLOAD})
"""Flows whose `consented` is the called namespace's own word (see `istio/consent.py`). What other rules ask
for counts as agreed unless they say otherwise, and a tenant can point it at anybody's pods."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One side of a denied flow: the pods whose policies must admit it, and the other end."""

    flow: RequiredFlow
    direction: Direction
    subject: Workload
    counterpart: Peer


@dataclass(frozen=True, slots=True)
class Reach:
    """In whose name policies are written.

    For an operator, who generates for all namespaces at once, every side that has consent may open. For
    tenants only sides that the trust boundaries allow: those that an object of one of the namespaces
    `asking` (None: of any) may open, and the called side of flows to which a namespace of `agreeing`, whose
    owner is asking too, has consented.
    """

    settings: Settings
    tenant: bool
    asking: frozenset[str] | None = None
    agreeing: frozenset[str] = frozenset()

    def may_open(self, flow: RequiredFlow, direction: Direction, subject: Workload) -> bool:
        """Whether this side of the flow may be opened."""
        own = flow.object.namespace
        is_asking = self.asking is None or own in self.asking
        if subject.namespace == own:
            return is_asking and (flow.consented or direction is Direction.EGRESS)
        if not flow.consented:
            return False
        is_for_tenants = (
            direction is Direction.EGRESS
            and flow.kind in TENANT_EGRESS
            and self.is_trusted(subject.namespace)
        )
        if is_asking and (not self.tenant or self.is_trusted(own) or is_for_tenants):
            return True
        return subject.namespace in self.agreeing and (is_for_tenants or _is_agreed(flow, direction, subject))

    def is_trusted(self, namespace: str) -> bool:
        """Whether only cluster administrators write in a namespace."""
        settings = self.settings
        return namespace in settings.admission.trusted_namespaces or namespace == settings.mesh.root_namespace


def reach_of(submitter: str, settings: Settings) -> Reach:
    """The reach of whoever changes something in a namespace: of administrators where only they write."""
    asking = frozenset({submitter})
    is_trusted = Reach(settings, tenant=True).is_trusted(submitter)
    return Reach(settings, tenant=True, asking=None if is_trusted else asking, agreeing=asking)


def _is_agreed(flow: RequiredFlow, direction: Direction, subject: Workload) -> bool:
    """Whether the called side itself has a part in the flow: by its consent, or by being an istiod, which
    serves every proxy."""
    if direction is Direction.EGRESS:
        return False
    return flow.kind in AGREED or (flow.shared and component_of(subject) is ISTIOD)


def openings_of(judged: Judged) -> Iterator[Opening]:
    """The denied sides of a flow; a side without pods has no policies."""
    flow, verdict = judged.flow, judged.verdict
    if not verdict.egress.allowed and isinstance(flow.source, PodsPeer):
        yield Opening(flow, Direction.EGRESS, flow.source.workload, flow.destination)
    if not verdict.ingress.allowed and isinstance(flow.destination, PodsPeer):
        yield Opening(flow, Direction.INGRESS, flow.destination.workload, flow.source)
