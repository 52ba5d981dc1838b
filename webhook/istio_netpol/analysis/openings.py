"""From denied flows to the sides that must open, and who may open them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from istio_netpol.analysis.results import Judged
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload

TENANT_EGRESS = frozenset({FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.ISTIOD_TO_JWKS})
"""Flows for which a tenant's object may open egress elsewhere: from a gateway to the pods that it exposes,
from istiod to the keys it names."""


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

    For an operator, who generates for all namespaces at once, every side that has consent may open. For a
    tenant, whose object is under review, only sides that the trust boundaries allow: the object's own
    namespace, and `TENANT_EGRESS`.
    """

    settings: Settings
    tenant: bool

    def may_open(self, flow: RequiredFlow, direction: Direction, subject: Workload) -> bool:
        """Whether this side of the flow may be opened on behalf of the object that needs it."""
        own = flow.object.namespace
        if subject.namespace == own:
            return flow.consented or direction is Direction.EGRESS
        if not flow.consented:
            return False
        if not self.tenant or own in self.settings.admission.trusted_namespaces:
            return True
        return direction is Direction.EGRESS and flow.kind in TENANT_EGRESS


def openings_of(judged: Judged) -> Iterator[Opening]:
    """The denied sides of a flow; a side without pods has no policies."""
    flow, verdict = judged.flow, judged.verdict
    if not verdict.egress.allowed and isinstance(flow.source, PodsPeer):
        yield Opening(flow, Direction.EGRESS, flow.source.workload, flow.destination)
    if not verdict.ingress.allowed and isinstance(flow.destination, PodsPeer):
        yield Opening(flow, Direction.INGRESS, flow.destination.workload, flow.source)
