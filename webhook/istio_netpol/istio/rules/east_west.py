"""East-west gateways pass the calls of other networks on to the Services that their hosts name."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.gateways import AUTO_PASSTHROUGH
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import overlap
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_networking import Gateway
from istio_netpol.model.services import Service


def outcomes(service: Service, view: MeshView) -> Iterator[Outcome]:
    """From the pods of each Gateway with a server of mode AUTO_PASSTHROUGH for the Service's host to the pods
    behind it that have a sidecar: pods without one could not end the callers' mutual TLS.

    A Gateway speaks for the Services of its own namespace, and for all where only administrators write: the
    Service itself says nothing of who passes calls on to it. No object says which Services other networks
    call, so a denial is only a warning.
    """
    for gateway in view.east_west_gateways():
        home = gateway.ref.namespace
        if home != service.namespace and home not in view.trusted_namespaces:
            continue
        if not _names(gateway, view.service_host(service)):
            continue
        for backend in view.backends(service, None):
            peer = backend.peer
            if backend.protocol is not Protocol.TCP or not isinstance(peer, PodsPeer):
                continue
            if not view.injection(peer.workload).injected or view.is_gateway(peer.workload):
                continue
            for pod in view.gateway_workloads(gateway):
                yield RequiredFlow(
                    kind=FlowKind.GATEWAY_TO_WORKLOAD,
                    object=service.ref,
                    source=PodsPeer(pod),
                    destination=peer,
                    protocol=backend.protocol,
                    port=backend.port,
                    reason=f"{gateway.ref} passes on what other networks send to {service.ref}",
                    via=Via(service, (service.namespace, *backend.choosers)),
                    dispensable=True,
                )


def _names(gateway: Gateway, host: str) -> bool:
    """Whether a passing server has the Service's host among its own."""
    return any(
        overlap(entry.rpartition("/")[2], host)
        for server in gateway.servers
        if server.tls_mode == AUTO_PASSTHROUGH
        for entry in server.hosts
    )


RULE = Rule(
    name="east-west",
    kind=FlowKind.GATEWAY_TO_WORKLOAD,
    subjects=(Service,),
    sources=(
        "https://istio.io/latest/docs/setup/install/multicluster/multi-primary_multi-network/ (Istio 1.32)",
        "https://istio.io/latest/docs/reference/config/networking/gateway/#ServerTLSSettings-TLSmode",
        "istio/istio samples/multicluster/expose-services.yaml (1.32)",
    ),
    outcomes=outcomes,
)
