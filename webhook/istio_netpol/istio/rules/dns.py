"""Proxies and the control plane resolve names by cluster DNS."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.components import component_of
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.injection import Injection, is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.workloads import Workload


def outcomes(subject: Workload | KubernetesGateway, view: MeshView) -> Iterator[Outcome]:
    """UDP and TCP to whoever answers DNS, for each pod that can't start or route without it."""
    pods = (subject,) if isinstance(subject, Workload) else view.predicted_gateway_workloads(subject)
    for pod in pods:
        reason, dispensable = _reason(pod, view)
        for target in view.dns_targets() if reason else ():
            yield RequiredFlow(
                kind=FlowKind.DNS,
                object=subject.ref,
                source=PodsPeer(pod),
                destination=target.peer,
                protocol=target.protocol,
                port=target.port,
                reason=f"{reason}; {target.why}" if target.why else reason,
                shared=isinstance(target.peer, PodsPeer),
                via=Via(target.service, administered=True),
                dispensable=dispensable,
            )


def _reason(pod: Workload, view: MeshView) -> tuple[str, bool]:
    """Why these pods need DNS, empty where the mesh does not need it; and whether they need it only from
    their next start.

    Pods in the host's network use the node's resolver.
    """
    if pod.host_network:
        return "", False
    if view.is_gateway(pod):
        return "the gateway finds istiod by name", False
    if is_ztunnel(pod):
        return "ztunnel finds istiod by name", False
    injection = view.injection(pod)
    if injection.injected or injection.asks_in_plain:
        return _of_injection(injection), False
    component = component_of(pod)
    if component and component.needs_dns:
        return f"{component.name} resolves names by cluster DNS", False
    following = injection.next_start
    return (f"{injection.until_next_start}{_of_injection(following)}", True) if following else ("", False)


def _of_injection(injection: Injection) -> str:
    return f"its {'sidecar' if injection.injected else 'gRPC library'} finds istiod by name"


RULE = Rule(
    name="dns",
    kind=FlowKind.DNS,
    subjects=(Workload, KubernetesGateway),
    sources=(
        "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/",
        "https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/",
        "https://istio.io/latest/docs/ops/configuration/traffic-management/dns/ (Istio 1.28)",
    ),
    outcomes=outcomes,
)
