"""The API server calls the pods that admission webhooks, conversion webhooks and APIServices name by their
Service.

Whoever writes such an object may change everything in the cluster, so it counts in every namespace. The
namespace of the Service decides which pods are behind it, and so opens its own pods and nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.istio.control_plane_flows import called_out_of
from istio_netpol.istio.destinations import no_pods, undeclared_port
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import Address
from istio_netpol.model.api_calls import ApiExtension, ApiServerCall
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.references import KUBERNETES_SERVICE, ObjectRef
from istio_netpol.model.services import Service


def outcomes(extension: ApiExtension, view: MeshView) -> Iterator[Outcome]:
    """From the API server, at whatever address, to the port behind each Service that the object names, or
    whose address it has in a URL.

    Of several webhooks behind one Service the one counts that is not dispensable.
    """
    for call in sorted(extension.calls, key=lambda call: call.dispensable):
        if (call.namespace, call.service) == KUBERNETES_SERVICE:
            continue
        if call.address is not None:
            yield from _to_address(call, call.address, extension.ref, view)
            continue
        service = view.find_service(call.namespace, call.service)
        if service is None:
            sentence = (
                f"there is no Service {call.namespace}/{call.service}, which the API server calls; add it, "
                "or correct the name"
            )
            yield unknown(extension.ref, call.field, sentence)
        else:
            yield from _to(service, call, extension.ref, view)


def _to_address(call: ApiServerCall, address: Address, ref: ObjectRef, view: MeshView) -> Iterator[Outcome]:
    """To the Service at an address, where that is one of the cluster's own."""
    found = view.service_at(address, call.port, Protocol.TCP, "")
    if found is None or (found.service.namespace, found.service.name) == KUBERNETES_SERVICE:
        return
    yield from _to(found.service, replace(call, port=found.port or call.port), ref, view)


def _to(service: Service, call: ApiServerCall, ref: ObjectRef, view: MeshView) -> Iterator[Outcome]:
    ports = tuple(port.port for port in service.ports if port.protocol is Protocol.TCP)
    if call.port not in ports and not service.external_name:
        listed = ", ".join(map(str, ports)) or "none"
        sentence = (
            f"{service.ref} has no TCP port {call.port}, which the API server calls; its ports: {listed}"
        )
        yield unknown(ref, call.field, sentence)
        return
    backends = view.backends(service, call.port)
    for backend in backends:
        # A peer that is not a pod, such as the host of an ExternalName, has no policies.
        if isinstance(backend.peer, PodsPeer) and backend.protocol is Protocol.TCP:
            for caller in view.webhook_callers():
                yield RequiredFlow(
                    FlowKind.WEBHOOK_FROM_APISERVER,
                    ref,
                    caller,
                    backend.peer,
                    Protocol.TCP,
                    backend.port,
                    called_out_of(caller, call.why),
                    field=call.field,
                    via=Via(service=service, choosers=(service.namespace, *backend.choosers)),
                    dispensable=call.dispensable,
                )
    undeclared = view.undeclared(service, (call.port,))
    for pods, port in undeclared:
        yield unknown(ref, call.field, undeclared_port(service, pods, port))
    if not backends and not undeclared and not service.external_name:
        yield unknown(ref, call.field, no_pods(service))


RULE = Rule(
    name="api-server-calls",
    kind=FlowKind.WEBHOOK_FROM_APISERVER,
    subjects=(ApiExtension,),
    sources=(
        "https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ "
        "(service reference, failure policy; Kubernetes 1.36)",
        "https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/"
        "custom-resource-definition-versioning/#webhook-conversion (Kubernetes 1.36)",
        "https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/ "
        "(Kubernetes 1.36)",
        "kubernetes/apiserver pkg/util/proxy/proxy.go, ResolveCluster and ResolveEndpoint (Kubernetes 1.36)",
    ),
    outcomes=outcomes,
)
