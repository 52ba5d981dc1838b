"""From denied flows to the sides that must open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from istio_netpol.model.flows import Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload


@dataclass(frozen=True, slots=True)
class Opening:
    """One side of a denied flow: the pods whose policies must admit it, and the other end."""

    flow: RequiredFlow
    direction: Direction
    subject: Workload
    counterpart: Peer


def openings_of(judged: Judged) -> Iterator[Opening]:
    """The denied sides of a flow; a side without pods has no policies."""
    flow, verdict = judged.flow, judged.verdict
    if not verdict.egress.allowed and isinstance(flow.source, PodsPeer):
        yield Opening(flow, Direction.EGRESS, flow.source.workload, flow.destination)
    if not verdict.ingress.allowed and isinstance(flow.destination, PodsPeer):
        yield Opening(flow, Direction.INGRESS, flow.destination.workload, flow.source)
