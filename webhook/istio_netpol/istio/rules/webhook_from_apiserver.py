"""The API server calls the control plane's admission and conversion webhooks."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.components import ISTIOD, component_of
from istio_netpol.istio.control_plane_flows import called_out_of
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.workloads import Workload


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """Flows from the pods out of which the API server calls, or otherwise from any address, to the port
    behind the webhook's Service."""
    component = component_of(workload)
    if component is None or not component.webhook_port:
        return
    if component is ISTIOD:
        port = view.injection_webhook_port(workload)
        reason = "the API server asks istiod to inject sidecars and to validate Istio's objects"
    else:
        port = component.webhook_port_of(workload)
        reason = f"the API server calls the webhooks of {component.name}"
    for caller in view.webhook_callers():
        yield RequiredFlow(
            FlowKind.WEBHOOK_FROM_APISERVER,
            workload.ref,
            caller,
            PodsPeer(workload),
            Protocol.TCP,
            port,
            called_out_of(caller, reason),
        )


RULE = Rule(
    name="webhook-from-apiserver",
    kind=FlowKind.WEBHOOK_FROM_APISERVER,
    subjects=(Workload,),
    sources=(
        "https://istio.io/latest/docs/ops/deployment/application-requirements/ (15017; Istio 1.28)",
        "https://istio.io/latest/docs/ops/configuration/mesh/webhook/",
        "kyma-project/api-gateway config/conversion_webhook/service.yaml (9443)",
        "gardener/gardener docs/operations/network_policies.md (app: vpn-shoot; read 2026-11-30)",
    ),
    outcomes=outcomes,
)
