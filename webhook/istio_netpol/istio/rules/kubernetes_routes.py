"""HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, UDPRoute: the pods of the Gateways that a route attaches to, by
their own listeners or those of a ListenerSet, connect to its backends.

A parent of kind Service or ServiceEntry makes a route of the mesh: its clients are sidecars and waypoints,
not gateways. A Gateway whose `allowedRoutes` do not admit the route is not a client either. Istio routes TCP
only: it serves no UDPRoute (istio/istio issue 54163), and reaches a Service that offers the port over UDP too
by TCP. A backend of weight 0 gets no requests.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.istio.call_flows import backends_on
from istio_netpol.istio.destinations import aliased, no_such_alias
from istio_netpol.istio.gateway_attachment import KINDS, Attachment, gateway_of, refusal
from istio_netpol.istio.hbone import meant_by, reached
from istio_netpol.istio.rule import Outcome, Rule, not_granted, unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.kubernetes_gateways import GatewayRole
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.gateway_api import (
    GATEWAY_API_GROUP,
    BackendRef,
    KubernetesGateway,
    KubernetesRoute,
    ListenerSet,
    ParentRef,
    ReferenceGrant,
)
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.own_names import CALLS
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

ISTIO_GROUP = "networking.istio.io"
_MESH_PARENTS = frozenset({("", "Service"), (ISTIO_GROUP, "ServiceEntry")})
_UNSERVED_BY = frozenset({GatewayRole.FOREIGN, GatewayRole.UNKNOWN})
"""Controllers whose Gateways may serve what Istio does not."""


def outcomes(route: KubernetesRoute, view: MeshView) -> Iterator[Outcome]:
    """Flows from every parent Gateway to every backend, mirrors included; findings for names that stand for
    nothing."""
    gateways: list[KubernetesGateway] = []
    yield from _of_the_mesh(route)
    parents = [
        (f"spec.parentRefs[{index}]", parent)
        for index, parent in enumerate(route.parents)
        if (parent.group, parent.kind) not in _MESH_PARENTS
    ]
    for field, parent in parents:
        gateway = _gateway(route, parent, field, view)
        if isinstance(gateway, Finding):
            yield gateway
        elif gateway not in gateways:
            gateways.append(gateway)
    if parents:
        # Many rules lead to the same place. The first field that does stands for all.
        distinct = {replace(backend, field=""): backend for backend in reversed(route.backends)}
        for backend in reversed(distinct.values()):
            yield from _to_backend(route, gateways, backend, view)


def _of_the_mesh(route: KubernetesRoute) -> Iterator[Outcome]:
    """A finding for a route of the mesh: that clients of the parent connect to other backends is not
    judged."""
    for index, parent in enumerate(route.parents):
        if (parent.group, parent.kind) in _MESH_PARENTS:
            others = [
                backend
                for backend in route.backends
                if (backend.kind, backend.name) != (parent.kind, parent.name)
            ]
            if others:
                sentence = (
                    f"where clients of {parent.kind} {parent.namespace or route.ref.namespace}/{parent.name} "
                    f"connect by this route is not judged; declare it with {CALLS} on them"
                )
                yield unknown(route.ref, f"spec.parentRefs[{index}]", sentence, Severity.INFO)


def _gateway(
    route: KubernetesRoute, parent: ParentRef, field: str, view: MeshView
) -> KubernetesGateway | Finding:
    """The Gateway that the route attaches to through a reference, or why it does not."""
    attachment = attachment_of(route, parent, field, view)
    if isinstance(attachment, Finding):
        return attachment
    gateway = attachment.gateway
    if route.ref.kind == "UDPRoute" and view.gateway_role(gateway) not in _UNSERVED_BY:
        return unknown(route.ref, field, f"{gateway.ref} is Istio's, and Istio serves no UDPRoute")
    refused = refusal(route, parent, attachment, view)
    return not_granted(route.ref, field, f"{attachment.ref} {refused}") if refused else gateway


def attachment_of(
    route: KubernetesRoute, parent: ParentRef, field: str, view: MeshView
) -> Attachment | Finding:
    """What a reference means, or why it means nothing that serves a route."""
    namespace, kind = parent.namespace or route.ref.namespace, (parent.group, parent.kind)
    named = f"{parent.kind} {namespace}/{parent.name}"
    if kind == (GATEWAY_API_GROUP, "Gateway"):
        gateway = view.find_kubernetes_gateway(namespace, parent.name)
        if gateway is not None:
            return Attachment.of(gateway)
    elif kind in KINDS:
        added = view.find(ListenerSet, namespace, parent.name, parent.kind)
        if added is not None:
            taker = gateway_of(added, view)
            if isinstance(taker, Finding):
                sentence = f"no Gateway takes the listeners of {named}, so nobody serves the route; see there"
                return unknown(route.ref, field, sentence)
            return Attachment.of(taker, added)
    else:
        sentence = (
            f"{named} of group {parent.group or 'core'} is not a parent that is read, so it is not known "
            "who serves the route; name a Gateway, a ListenerSet, a Service or a ServiceEntry"
        )
        return unknown(route.ref, field, sentence)
    return unknown(route.ref, field, f"there is no {named}; create it, or correct the reference")


def _to_backend(
    route: KubernetesRoute, gateways: list[KubernetesGateway], backend: BackendRef, view: MeshView
) -> Iterator[Outcome]:
    meaning = _target(route, backend, view)
    if isinstance(meaning, Finding):
        yield meaning
        return
    target, through = meaning
    protocol = Protocol.UDP if route.ref.kind == "UDPRoute" else Protocol.TCP
    found = tuple(answer for answer in backends_on(view, target, backend.port) if answer.protocol is protocol)
    if not found:
        sentence = (
            f"no pods answer on port {backend.port} of {target.ref}; compare its selector and ports with "
            "the pods'"
        )
        yield unknown(route.ref, backend.field, sentence)
    for gateway in gateways:
        for pod in view.kubernetes_gateway_workloads(gateway):
            for answering in found:
                for wire in reached(view, pod, target, answering):
                    yield RequiredFlow(
                        kind=FlowKind.GATEWAY_TO_WORKLOAD,
                        object=route.ref,
                        source=PodsPeer(pod),
                        destination=wire.peer,
                        protocol=wire.protocol,
                        port=wire.port,
                        reason=f"{route.ref} sends what {gateway.ref} receives to {target.ref}",
                        field=backend.field,
                        # `refusal` has found that a listener admits the route's namespace.
                        via=_via(route, backend, target, through, answering, wire, pod, gateway),
                    )


def _via(
    route: KubernetesRoute,
    ref: BackendRef,
    target: Service | ServiceEntry,
    through: tuple[str, ...],
    backend: Backend,
    wire: Backend,
    pod: Workload,
    gateway: KubernetesGateway,
) -> Via:
    """How a route leads to a backend: a reference to another namespace's Service has that namespace's
    grant."""
    meant, meant_port = meant_by(backend, wire)
    return Via(
        backend.service or (target if isinstance(target, Service) else None),
        (*through, target.ref.namespace, *backend.choosers),
        granted=ref.kind == "Service" and ref.namespace not in ("", route.ref.namespace),
        admitted=pod.namespace == gateway.ref.namespace,
        meant=meant,
        meant_port=meant_port,
    )


def _target(
    route: KubernetesRoute, backend: BackendRef, view: MeshView
) -> tuple[Service | ServiceEntry, tuple[str, ...]] | Finding:
    """What a backendRef means and the namespaces of the Services that it leads through, or why Istio refuses
    it."""
    namespace = backend.namespace or route.ref.namespace
    match (backend.group, backend.kind):
        case ("", "Service"):
            if namespace != route.ref.namespace and not _is_granted(route, backend, namespace, view):
                return not_granted(route.ref, backend.field, _missing_grant(route, backend, namespace))
            target: Service | ServiceEntry | None = view.find_service(namespace, backend.name)
            named = f"Service {namespace}/{backend.name}"
        case (str(group), "Hostname") if group == ISTIO_GROUP:
            target = view.resolve_host(backend.name, route.ref.namespace)
            named = f"Service or ServiceEntry with the host {backend.name}"
        case _:
            sentence = (
                f"{backend.kind} {namespace}/{backend.name} is not a backend whose pods can be named; use a "
                "Service"
            )
            return unknown(route.ref, backend.field, sentence)
    if target is None:
        return unknown(route.ref, backend.field, f"there is no {named}; create it, or correct the reference")
    if backend.port is None:
        return unknown(
            route.ref,
            backend.field,
            f"the port of {target.ref} is missing, so Istio refuses the backend; add it",
        )
    if isinstance(target, Service) and target.external_name:
        known, through = aliased(target, route.ref.namespace, view)
        return (known, through) if known else unknown(route.ref, backend.field, no_such_alias(target))
    return target, ()


def _is_granted(route: KubernetesRoute, backend: BackendRef, namespace: str, view: MeshView) -> bool:
    return any(
        any(
            (f.group, f.kind, f.namespace) == (route.ref.group, route.ref.kind, route.ref.namespace)
            for f in grant.froms
        )
        and any((to.group, to.kind) == ("", "Service") and to.name in ("", backend.name) for to in grant.tos)
        for grant in view.all(ReferenceGrant, namespace)
    )


def _missing_grant(route: KubernetesRoute, backend: BackendRef, namespace: str) -> str:
    return (
        f"Service {namespace}/{backend.name} is in another namespace, and no ReferenceGrant in {namespace} "
        f"lets {route.ref.kind}s of "
        f"{route.ref.namespace} refer to it, so Istio refuses the backend; create a ReferenceGrant in "
        f"{namespace} with from "
        f"group {route.ref.group}, kind {route.ref.kind}, namespace {route.ref.namespace} and to kind "
        f"Service, name {backend.name}"
    )


RULE = Rule(
    name="kubernetes-routes",
    kind=FlowKind.GATEWAY_TO_WORKLOAD,
    subjects=(KubernetesRoute,),
    sources=(
        "https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/ (Istio 1.28)",
        "https://gateway-api.sigs.k8s.io/api-types/referencegrant/ (Gateway API 1.4)",
        "istio/istio pilot/pkg/config/kube/gateway/conversion.go, buildDestination (Istio 1.28)",
    ),
    outcomes=outcomes,
)
