"""Makes the flows of pods to the control plane: to istiod for a proxy's configuration and certificate, and
to the API server, one to each place that they may dial.

Where the mesh has another certificate authority, istio-csr of cert-manager or one of a cloud, the certificate
comes from there (`CA_ADDR` in `injection-template.yaml`, `gateway-injection-template.yaml` and
`kube-gateway.yaml` of the `istiod` chart, Istio 1.28).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from istio_netpol.istio.rule import Outcome, unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.control_plane import (
    PLAIN_DISCOVERY_PORT,
    annotated_address,
)
from istio_netpol.istio.view.injection import Injection, is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import parse_host_port
from istio_netpol.model.connections import Protocol
from istio_netpol.model.control_plane import PROXY_CONFIG_ANNOTATION, TEMPLATES_ANNOTATION
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow, Via
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

TEMPLATES_FIELD = f"metadata.annotations[{TEMPLATES_ANNOTATION}]"


def discovery_flows(
    kind: FlowKind,
    requiring: ObjectRef,
    proxy: Workload,
    view: MeshView,
    reason: str,
    *,
    injection: Injection | None = None,
    dispensable: bool = False,
) -> Iterator[Outcome]:
    """From the proxy's pods to what serves them xDS and certificates, in the name of `requiring`; a finding
    for a discoveryAddress that can't be read. `injection` is another than they have now."""
    revision = (injection or view.injection(proxy)).revision
    told = annotated_address(proxy)
    if told and parse_host_port(told) is None:
        sentence = f"the discoveryAddress {told} is not a host:port, so istiod is assumed; correct it"
        yield unknown(requiring, f"metadata.annotations[{PROXY_CONFIG_ANNOTATION}]", sentence)
    for backend in view.discovery(proxy, revision):
        # A tenant wrote the annotation. It can't turn pods into a server of every proxy that are not one
        # anyway.
        is_shared = not told or _serves_proxies(backend, view)
        found = _flow(kind, requiring, proxy, backend, reason, is_shared=is_shared)
        yield replace(found, dispensable=dispensable)
    address = "" if is_ztunnel(proxy) else view.certificate_authority(revision)
    for backend in certificate_authority(address, proxy.namespace, view):
        reason = f"its proxy gets its certificate from {address}"
        found = _flow(kind, requiring, proxy, backend, reason, is_shared=True)
        yield replace(found, dispensable=dispensable)


def besides(known: Iterable[Outcome], outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """The outcomes for the same pods that are not known already."""
    told = {_what(outcome) for outcome in known}
    return (outcome for outcome in outcomes if _what(outcome) not in told)


def _what(outcome: Outcome) -> object:
    return outcome.key if isinstance(outcome, RequiredFlow) else (outcome.field, outcome.message)


def plain_discovery_flows(
    kind: FlowKind, pods: Workload, view: MeshView, reason: str, *, dispensable: bool = False
) -> Iterator[Outcome]:
    """From pods whose gRPC library asks istiod itself, without TLS; a finding where istiod does not offer it.

    Only istiod's administrator may open it for them, since everybody gets an answer there.
    """
    backends = view.plain_discovery()
    for backend in backends:
        found = _flow(kind, pods.ref, pods, backend, reason, is_shared=True)
        yield replace(found, dispensable=dispensable)
    if not backends:
        sentence = (
            f"Service {view.settings.mesh.root_namespace}/istiod has no pods or no port "
            f"{PLAIN_DISCOVERY_PORT}, from which the template's gRPC library gets its configuration; add "
            "them, or choose another template"
        )
        yield unknown(pods.ref, TEMPLATES_FIELD, sentence)


def _serves_proxies(backend: Backend, view: MeshView) -> bool:
    if not isinstance(backend.peer, PodsPeer):
        return False
    pods = backend.peer.workload
    return pods in view.every_istiod() and backend.port == view.discovery_port(pods)


def certificate_authority(address: str, namespace: str, view: MeshView) -> tuple[Backend, ...]:
    """What answers at a `caAddress`; nothing where it is empty, or a Service that the input does not hold."""
    place = parse_host_port(address)
    if place is None:
        return ()
    host, port = place
    return view.address_backends(host, namespace, port)


def _flow(
    kind: FlowKind, requiring: ObjectRef, proxy: Workload, backend: Backend, reason: str, *, is_shared: bool
) -> RequiredFlow:
    return RequiredFlow(
        kind=kind,
        object=requiring,
        source=PodsPeer(proxy),
        destination=backend.peer,
        protocol=backend.protocol,
        port=backend.port,
        reason=reason,
        shared=is_shared and isinstance(backend.peer, PodsPeer),
        via=Via(choosers=backend.choosers, administered=is_shared),
    )


def to_api_server(workload: Workload, view: MeshView, reason: str, field: str = "") -> Iterator[RequiredFlow]:
    """The flows from the workload's pods, because of `reason`. All are needed, since pods differ in what they
    were told to dial."""
    for target in view.api_server(workload):
        yield RequiredFlow(
            kind=FlowKind.TO_APISERVER,
            object=workload.ref,
            source=PodsPeer(workload),
            destination=target.peer,
            protocol=Protocol.TCP,
            port=target.port,
            reason=f"{reason}; {target.why}" if target.why else reason,
            field=field,
            via=Via(target.service, target.choosers, administered=target.is_administered),
        )


def called_out_of(caller: Peer, reason: str) -> str:
    """Why the API server calls, and out of which pods where it does so out of pods."""
    if not isinstance(caller, PodsPeer):
        return reason
    return f"{reason}, through the pods of {caller.workload.ref}"
