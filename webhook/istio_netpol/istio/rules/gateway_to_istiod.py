"""Gateways and waypoints get their configuration and certificates from istiod."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.control_plane_flows import besides, discovery_flows
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.workloads import Workload

_REASON = "the gateway gets its listeners, routes and certificates from istiod"


def outcomes(subject: Workload | KubernetesGateway, view: MeshView) -> Iterator[Outcome]:
    """Each gateway pod connects to istiod before it opens a port; so will the pods that a Gateway is yet to
    get."""
    pods = (subject,) if isinstance(subject, Workload) else view.predicted_gateway_workloads(subject)
    for pod in pods:
        if view.is_gateway(pod):
            yield from _of_gateway(subject, pod, view)


def _of_gateway(subject: Workload | KubernetesGateway, pod: Workload, view: MeshView) -> Iterator[Outcome]:
    """What a gateway's pods need now, and what they will need of another revision as a warning."""
    kind, injection = FlowKind.GATEWAY_TO_ISTIOD, view.injection(pod)
    now = tuple(discovery_flows(kind, subject.ref, pod, view, _REASON))
    yield from now
    following = injection.next_start
    if following is not None:
        why = f"{injection.until_next_start}{_REASON}"
        later = discovery_flows(kind, subject.ref, pod, view, why, injection=following, dispensable=True)
        yield from besides(now, later)


RULE = Rule(
    name="gateway-to-istiod",
    kind=FlowKind.GATEWAY_TO_ISTIOD,
    subjects=(Workload, KubernetesGateway),
    sources=(
        "https://istio.io/latest/docs/ops/deployment/application-requirements/ (ports; Istio 1.28)",
        "https://istio.io/latest/docs/setup/additional-setup/gateway/",
        "https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/#automated-deployment",
    ),
    outcomes=outcomes,
)
