"""The control plane works through the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.components import component_of
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.workloads import Workload


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """istiod, the CNI agent and Kyma's operators connect to the API server's endpoint, not to 443."""
    component = component_of(workload)
    if component is None or not component.watches or workload.host_network:
        return
    peer, port = view.api_server()
    source = PodsPeer(workload)
    yield RequiredFlow(
        FlowKind.TO_APISERVER, workload.ref, source, peer, Protocol.TCP, port, component.watches
    )


RULE = Rule(
    name="to-apiserver",
    kind=FlowKind.TO_APISERVER,
    subjects=(Workload,),
    sources=(
        "https://istio.io/latest/docs/ops/deployment/architecture/ (Istio 1.28)",
        "istio/istio manifests/charts/istio-cni/templates/daemonset.yaml (not hostNetwork since Istio 1.26)",
        "kyma-project/istio and kyma-project/api-gateway, config/manager/manager.yaml",
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/ (address translation)",
    ),
    outcomes=outcomes,
)
