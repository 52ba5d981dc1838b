"""The TCP ports on which pods listen: those that anything declares, and those of gateways for what a Gateway
opens."""

from __future__ import annotations

from istio_netpol.istio.view.backends import target_on
from istio_netpol.istio.view.gateways import is_injected_gateway
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


CLASSIC_TARGETS = {80: 8080, 443: 8443}
"""What the `istio-ingress` chart, istioctl and Kyma put behind the gateway Service's ports."""


class GatewayListeners:
    """The ports of gateway pods for the ports that a Gateway's servers open.

    istiod takes the number for a port of the gateway's Service and listens on its target (`mergeGateways`); a
    number that no Service port has is used as it is. Where the input holds no Service for the pods, the ports
    that they declare decide, then the chart: that of gateways by injection translates nothing. The ports of
    the Services are gone through once, however many a Gateway opens.
    """

    def __init__(self, pods: Workload, view: MeshView) -> None:
        services = view.services_of(pods)
        self._has_services = bool(services)
        self._is_injected = is_injected_gateway(pods)
        self._declared = frozenset(port.number for port in pods.ports)
        self._targets: dict[int, int] = {}
        for service in services:
            for port in service.ports:
                if port.port not in self._targets and (target := target_on(pods, port)):
                    self._targets[port.port] = target

    def port_for(self, opened: int) -> int:
        """Where the pods listen for a port that is opened."""
        if opened in self._targets:
            return self._targets[opened]
        classic = CLASSIC_TARGETS.get(opened, opened)
        is_kept = opened in self._declared or (self._is_injected and classic not in self._declared)
        return opened if self._has_services or is_kept else classic
