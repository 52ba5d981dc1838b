"""Sidecars and ztunnel get their configuration and certificates from istiod."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.discovery_flows import certificate_authority, discovery_flows
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.unnamed import unknown
from istio_netpol.istio.view.injection import is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.mesh import InjectorConfig
from istio_netpol.model.workloads import Workload


def outcomes(subject: Workload | InjectorConfig, view: MeshView) -> Iterator[Outcome]:
    """Each injected pod and each ztunnel; a native sidecar keeps its pod in Init until it is served.

    A certificate authority that can't be found is told once, of the injector that names it.
    """
    if isinstance(subject, InjectorConfig):
        address = subject.ca_address
        is_root = subject.ref.namespace == view.settings.mesh.root_namespace
        if is_root and address and not certificate_authority(address, subject.ref.namespace, view):
            sentence = (
                f"nothing of the input answers at {address}, from which all proxies get their certificates; "
                "add its Service and Deployment"
            )
            yield unknown(subject.ref, "data.values.global.caAddress", sentence)
    else:
        yield from _of_workload(subject, view)


def _of_workload(workload: Workload, view: MeshView) -> Iterator[Outcome]:
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
    subjects=(Workload, InjectorConfig),
    sources=(
        "istio/istio manifests/charts/istio-control/istio-discovery/files/injection-template.yaml (CA_ADDR; "
        "Istio 1.28)",
        "https://istio.io/latest/docs/ops/deployment/application-requirements/ (ports; Istio 1.28)",
        "https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig (discoveryAddress)",
        "https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/",
    ),
    outcomes=outcomes,
)
