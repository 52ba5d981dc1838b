"""Finds to which Gateway a route or a ListenerSet of the Gateway API attaches, and whether it is admitted
there.

A reference alone attaches nothing. It has to mean a listener, and that has to accept routes of the kind and
of the namespace. So nobody can send the gateway of somebody else anywhere by writing a route.

Sources: gateway-api.sigs.k8s.io/reference/spec/#allowedroutes (Gateway API 1.4) and `referenceAllowed` in
`pilot/pkg/config/kube/gateway/conversion.go` (Istio 1.28).

Of ListenerSets: gateway-api.sigs.k8s.io/geps/gep-1713/ (Gateway API 1.5), `ListenerSetCollection` in
`pilot/pkg/config/kube/gateway/gateway_collection.go` (Istio 1.31).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from istio_netpol.istio.rule import not_granted, unknown
from istio_netpol.istio.view.kubernetes_gateways import GatewayRole
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import overlap
from istio_netpol.model.findings import Finding
from istio_netpol.model.gateway_api import (
    GATEWAY_API_GROUP,
    KubernetesGateway,
    KubernetesRoute,
    Listener,
    ListenerSet,
    ParentRef,
)
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef

_KINDS = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute", "TCPRoute"),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
"""The kinds that a listener takes by its protocol; others take any."""


class Attachment(Struct, frozen=True):
    """A Gateway by its own listeners, or by those that a ListenerSet adds to it: `ref` is whose they are."""

    gateway: KubernetesGateway
    ref: ObjectRef
    listeners: tuple[Listener, ...]

    @classmethod
    def of(cls, gateway: KubernetesGateway, added: ListenerSet | None = None) -> Attachment:
        """To the listeners of a ListenerSet where one is given."""
        owner = added or gateway
        return cls(gateway, owner.ref, owner.listeners)


def _is_named(parent: ParentRef, listener: Listener) -> bool:
    """Whether a reference means the listener. Without sectionName and port it means all listeners."""
    return parent.section_name in ("", listener.name) and parent.port in (None, listener.port)


def refusal(route: KubernetesRoute, parent: ParentRef, attachment: Attachment, view: MeshView) -> str:
    """Why the route is not admitted, as the end of a sentence; empty where a listener admits it."""
    kind = route.ref.kind
    left = [listener for listener in attachment.listeners if _is_named(parent, listener)]
    if not left:
        return "has no listener of that sectionName and port; correct the reference"
    tests: tuple[tuple[Callable[[Listener], bool], str], ...] = (
        (
            lambda listener: kind in (listener.route_kinds or _KINDS.get(listener.protocol, (kind,))),
            f"has no listener for {kind}s; correct the reference, or allow them in allowedRoutes.kinds",
        ),
        (
            lambda listener: (
                not route.hostnames
                or not listener.hostname
                or any(overlap(host, listener.hostname) for host in route.hostnames)
            ),
            f"serves none of {', '.join(route.hostnames)}; correct the hostnames",
        ),
        (
            lambda listener: admits(listener, route.ref.namespace, attachment.ref.namespace, view),
            f"admits no routes of namespace {route.ref.namespace}; allow them in the listener's "
            "allowedRoutes.namespaces",
        ),
    )
    for passes, otherwise in tests:
        left = [listener for listener in left if passes(listener)]
        if not left:
            return otherwise
    return ""


def admits(listener: Listener, namespace: str, home: str, view: MeshView) -> bool:
    """Whether a listener of namespace `home` takes routes of a namespace."""
    return _is_among(listener.routes_from, listener.namespaces, namespace, home, view)


def _admits_sets(gateway: KubernetesGateway, namespace: str, view: MeshView) -> bool:
    """Whether a Gateway takes listeners that ListenerSets of a namespace add (`allowedListeners`)."""
    return _is_among(gateway.sets_from, gateway.set_namespaces, namespace, gateway.ref.namespace, view)


def _is_among(said: str, chosen: Selector | None, namespace: str, home: str, view: MeshView) -> bool:
    match said:
        case "All":
            return True
        case "Selector":
            return chosen is not None and chosen.matches(view.namespace_labels(namespace))
        case "Same":
            return namespace == home
    return False


KINDS = frozenset({(GATEWAY_API_GROUP, "ListenerSet"), ("gateway.networking.x-k8s.io", "XListenerSet")})

_WITHOUT_SETS = frozenset({GatewayRole.WAYPOINT, GatewayRole.EAST_WEST, GatewayRole.REMOTE})
"""Classes of Istio's whose Gateways take no ListenerSets (`SupportsListenerSet` in `classinfo.go`)."""


def gateway_of(added: ListenerSet, view: MeshView) -> KubernetesGateway | Finding:
    """The Gateway that takes the listeners, or why none does."""
    parent, ref = added.parent, added.ref
    namespace = parent.namespace or ref.namespace
    if (parent.group, parent.kind) != (GATEWAY_API_GROUP, "Gateway"):
        sentence = f"{parent.kind} {namespace}/{parent.name} takes no listeners; name a Gateway"
        return unknown(ref, "spec.parentRef", sentence)
    gateway = view.find_kubernetes_gateway(namespace, parent.name)
    if gateway is None:
        sentence = f"there is no Gateway {namespace}/{parent.name}; create it, or correct the reference"
        return unknown(ref, "spec.parentRef", sentence)
    if view.gateway_role(gateway) in _WITHOUT_SETS:
        sentence = (
            f"{gateway.ref} is of class {gateway.class_name}, which takes no ListenerSets; name another"
        )
        return not_granted(ref, "spec.parentRef", sentence)
    if not _admits_sets(gateway, ref.namespace, view):
        sentence = (
            f"{gateway.ref} admits no ListenerSets of namespace {ref.namespace}; allow them in its "
            "allowedListeners.namespaces"
        )
        return not_granted(ref, "spec.parentRef", sentence)
    return gateway
