"""From denied flows to the sides that must open."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from istio_netpol.model.flows import Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.services import DIRECTLY, Front
from istio_netpol.model.verdicts import Judged, TierRuleRef
from istio_netpol.model.workloads import Workload


class Opening(Struct, frozen=True):
    """One side of a denied flow: the pods whose policies must admit it, and the other end. `denied_by` are
    the rules of a tier that deny it, if it is not NetworkPolicies. `front` is the Service's address that is
    to be opened instead of the other end's own."""

    flow: RequiredFlow
    direction: Direction
    subject: Workload
    counterpart: Peer
    denied_by: tuple[TierRuleRef, ...] = ()
    front: Front | None = None


def openings_of(judged: Judged) -> Iterator[Opening]:
    """The denied sides of a flow; a side without pods has no policies, and of an undecided one it is not
    known whether it is denied."""
    flow = judged.flow
    for direction, subject, counterpart in (
        (Direction.EGRESS, flow.source, flow.destination),
        (Direction.INGRESS, flow.destination, flow.source),
    ):
        side = judged.verdict.side(direction)
        if not side.is_denied or not isinstance(subject, PodsPeer):
            continue
        closed = side.closed or DIRECTLY
        for front in closed.fronts:
            yield Opening(flow, direction, subject.workload, counterpart, front=front)
        if closed.at_own_address:
            yield Opening(flow, direction, subject.workload, counterpart, side.denied_by)
