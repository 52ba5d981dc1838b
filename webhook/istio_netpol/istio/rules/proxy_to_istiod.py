"""Sidecars and ztunnel get their configuration and certificates from istiod; gRPC libraries without a proxy
get their configuration there.

Pods that run without what their controller's template brings, or with another revision's proxy, are judged
by what they have; what they get at their next start is a warning."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.control_plane_flows import (
    TEMPLATES_FIELD,
    besides,
    certificate_authority,
    discovery_flows,
    plain_discovery_flows,
)
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.injection import Injection, is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.control_plane import InjectorConfig
from istio_netpol.model.flows import FlowKind
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
    elif not view.is_gateway(workload):
        injection = view.injection(workload)
        now = tuple(_of_injection(workload, injection, view))
        yield from now
        if injection.next_start is not None:
            when = injection.until_next_start
            yield from besides(now, _of_injection(workload, injection.next_start, view, when))


def _of_injection(
    workload: Workload, injection: Injection, view: MeshView, when: str = ""
) -> Iterator[Outcome]:
    """Flows to istiod of pods that are injected like this; `when` begins the reason of those that they do not
    have yet, which are dispensable."""
    kind, dispensable = FlowKind.PROXY_TO_ISTIOD, bool(when)
    if injection.injected:
        reason = f"{when}its sidecar gets its configuration and certificate from istiod"
        yield from discovery_flows(
            kind, workload.ref, workload, view, reason, injection=injection, dispensable=dispensable
        )
    if injection.asks_in_plain:
        reason = f"{when}its gRPC library gets its configuration from istiod, without TLS"
        yield from plain_discovery_flows(kind, workload, view, reason, dispensable=dispensable)
    if injection.unknown_template:
        sentence = (
            f"the input has no injection template {injection.unknown_template}, so nobody can tell whether "
            "it adds a proxy; add the ConfigMap istio-sidecar-injector that has it, or correct the name"
        )
        yield unknown(workload.ref, TEMPLATES_FIELD, sentence)


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
        "istio/istio manifests/charts/istio-control/istio-discovery/files/grpc-simple.yaml (Istio 1.31)",
        "istio/istio pkg/kube/inject/inject.go, selectTemplates (Istio 1.31)",
    ),
    outcomes=outcomes,
)
