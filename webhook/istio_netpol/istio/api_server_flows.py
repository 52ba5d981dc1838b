"""Makes the flows of pods to the API server, one to each place that they may dial, and the reasons of its own
calls."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow, Via
from istio_netpol.model.workloads import Workload


def to_api_server(workload: Workload, view: MeshView, reason: str, field: str = "") -> Iterator[RequiredFlow]:
    """The flows from the workload's pods, because of `reason`. All are needed, since pods differ in what they
    were told to dial."""
    for target in view.api_server(workload):
        yield RequiredFlow(
            kind=FlowKind.TO_APISERVER,
            object=workload.ref,
            source=PodsPeer(workload),
            destination=target.peer,
            protocol=Protocol.TCP,
            port=target.port,
            reason=f"{reason}; {target.why}" if target.why else reason,
            field=field,
            via=Via(target.service, target.choosers, administered=target.is_administered),
        )


def called_out_of(caller: Peer, reason: str) -> str:
    """Why the API server calls, and out of which pods where it does so out of pods."""
    if not isinstance(caller, PodsPeer):
        return reason
    return f"{reason}, through the pods of {caller.workload.ref}"
