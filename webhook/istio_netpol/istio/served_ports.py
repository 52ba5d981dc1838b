"""The TCP ports that pods serve, as far as anything declares them."""

from __future__ import annotations

from istio_netpol.istio.view.backends import target_on
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.workloads import Workload

PROXY_PORTS = frozenset({15000, 15001, 15002, 15004, 15006, 15008, 15009, 15020, 15021, 15053, 15090})
"""Ports of the proxy itself
(istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio): no application listens
there."""


def served_ports(view: MeshView, pod: Workload) -> tuple[int, ...]:
    """The container ports and the target ports of Services, ascending, without the proxy's own."""
    declared = {port.number for port in pod.ports if port.protocol is Protocol.TCP}
    for service in view.services_of(pod):
        for port in service.ports:
            if port.protocol is Protocol.TCP and (number := target_on(pod, port)):
                declared.add(number)
    return tuple(sorted(declared - PROXY_PORTS))
