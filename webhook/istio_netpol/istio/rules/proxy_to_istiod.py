"""Sidecars and ztunnel get their configuration and certificates from istiod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from istio_netpol.istio.discovery_flows import discovery_flows
from istio_netpol.istio.injection import is_ztunnel
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.workloads import Workload

if TYPE_CHECKING:
    from istio_netpol.istio.mesh_view import MeshView


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """Each injected pod and each ztunnel; a native sidecar keeps its pod in Init until it is served."""
    kind = FlowKind.PROXY_TO_ISTIOD
    if is_ztunnel(workload):
        reason = "ztunnel gets the workloads of its node and their certificates from istiod"
        yield from discovery_flows(kind, workload.ref, workload, view, reason)
    elif view.injection(workload).injected and not view.is_gateway(workload):
        reason = "its sidecar gets its configuration and certificate from istiod"
        yield from discovery_flows(kind, workload.ref, workload, view, reason)


RULE = Rule(
    name="proxy-to-istiod",
    kind=FlowKind.PROXY_TO_ISTIOD,
    subjects=(Workload,),
    sources=(
        "https://istio.io/latest/docs/ops/deployment/application-requirements/ (ports; Istio 1.28)",
        "https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig (discoveryAddress)",
        "https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/",
    ),
    outcomes=outcomes,
)
