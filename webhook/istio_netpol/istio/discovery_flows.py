"""The flow that every proxy needs first: to istiod, for its configuration and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

if TYPE_CHECKING:
    from istio_netpol.istio.mesh_view import MeshView


def discovery_flows(
    kind: FlowKind, requiring: ObjectRef, proxy: Workload, view: MeshView, reason: str
) -> Iterator[RequiredFlow]:
    """From the proxy's pods to what serves them xDS and certificates, in the name of `requiring`."""
    for backend in view.discovery(proxy):
        yield RequiredFlow(
            kind=kind,
            object=requiring,
            source=PodsPeer(proxy),
            destination=backend.peer,
            protocol=backend.protocol,
            port=backend.port,
            reason=reason,
            shared=isinstance(backend.peer, PodsPeer),
        )
