"""The port on which gateway pods listen for what a Gateway opens."""

from __future__ import annotations

from istio_netpol.istio.view.backends import target_on
from istio_netpol.istio.view.gateways import is_injected_gateway
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.workloads import Workload

CLASSIC_TARGETS = {80: 8080, 443: 8443}
"""What the `istio-ingress` chart, istioctl and Kyma put behind the gateway Service's ports."""


def listener_port(opened: int, pod: Workload, view: MeshView) -> int:
    """The pods' port for the port that a Gateway's server opens.

    istiod takes the number for a port of the gateway's Service and listens on its target (`mergeGateways`); a
    number that no Service port has is used as it is. Where the input holds no Service for the pods, the ports
    that they declare decide, then the chart: that of gateways by injection translates nothing.
    """
    services = view.services_of(pod)
    for service in services:
        for port in service.ports:
            if port.port == opened and (target := target_on(pod, port)):
                return target
    declared = {port.number for port in pod.ports}
    classic = CLASSIC_TARGETS.get(opened, opened)
    if services or opened in declared or (is_injected_gateway(pod) and classic not in declared):
        return opened
    return classic
