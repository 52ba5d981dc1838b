"""The control plane works through the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.components import component_of
from istio_netpol.istio.control_plane_flows import to_api_server
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.workloads import Workload


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """Flows of istiod, the CNI agent and Kyma's operators to what their pods are told to dial."""
    component = component_of(workload)
    if component is not None and component.watches and not workload.host_network:
        yield from to_api_server(workload, view, component.watches)


RULE = Rule(
    name="to-apiserver",
    kind=FlowKind.TO_APISERVER,
    subjects=(Workload,),
    sources=(
        "https://istio.io/latest/docs/ops/deployment/architecture/ (Istio 1.28)",
        "istio/istio manifests/charts/istio-cni/templates/daemonset.yaml (not hostNetwork since Istio 1.26)",
        "kyma-project/istio and kyma-project/api-gateway, config/manager/manager.yaml",
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/ (address translation)",
        "kubernetes/client-go rest/config.go, InClusterConfig (Kubernetes 1.36)",
        "gardener/gardener docs/usage/networking/shoot_kubernetes_service_host_injection.md (2026-11-30)",
        "https://learn.microsoft.com/azure/aks/faq (API server FQDN; read 2026-11-30)",
    ),
    outcomes=outcomes,
)
