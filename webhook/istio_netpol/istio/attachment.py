"""Whether a Gateway of the Gateway API admits a route.

A reference alone attaches nothing: a listener has to be meant by it, and to accept routes of the kind and of
the namespace. Whoever writes a route can't help himself to the gateway of somebody else.

Sources: gateway-api.sigs.k8s.io/reference/spec/#allowedroutes (Gateway API 1.4) and `referenceAllowed` in
`pilot/pkg/config/kube/gateway/conversion.go` (Istio 1.28).
"""

from __future__ import annotations

from collections.abc import Callable

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.names import overlap
from istio_netpol.model.gateway_api import KubernetesGateway, KubernetesRoute, Listener, ParentRef

_KINDS = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute", "TCPRoute"),
    "TCP": ("TCPRoute",),
    "UDP": (),
}
"""The kinds that a listener takes by its protocol; others take any."""


def _is_named(parent: ParentRef, listener: Listener) -> bool:
    """Whether a reference means the listener: all of them, where it has neither sectionName nor port."""
    return parent.section_name in ("", listener.name) and parent.port in (None, listener.port)


def refusal(route: KubernetesRoute, parent: ParentRef, gateway: KubernetesGateway, view: MeshView) -> str:
    """Why the Gateway does not admit the route, as the end of a sentence; empty where a listener does."""
    kind = route.ref.kind
    left = [each for each in gateway.listeners if _is_named(parent, each)]
    if not left:
        return "has no listener of that sectionName and port; correct the reference"
    tests: tuple[tuple[Callable[[Listener], bool], str], ...] = (
        (
            lambda each: kind in (each.route_kinds or _KINDS.get(each.protocol, (kind,))),
            f"has no listener for {kind}s; correct the reference, or allow them in allowedRoutes.kinds",
        ),
        (
            lambda each: (
                not route.hostnames
                or not each.hostname
                or any(overlap(host, each.hostname) for host in route.hostnames)
            ),
            f"serves none of {', '.join(route.hostnames)}; correct the hostnames",
        ),
        (
            lambda each: admits(each, route.ref.namespace, gateway, view),
            f"admits no routes of namespace {route.ref.namespace}; allow them in the listener's "
            "allowedRoutes.namespaces",
        ),
    )
    for passes, otherwise in tests:
        left = [each for each in left if passes(each)]
        if not left:
            return otherwise
    return ""


def admits(listener: Listener, namespace: str, gateway: KubernetesGateway, view: MeshView) -> bool:
    """Whether a listener takes routes of a namespace."""
    match listener.routes_from:
        case "All":
            return True
        case "Selector":
            chosen = listener.namespaces
            return chosen is not None and chosen.matches(view.namespace_labels(namespace))
        case "Same":
            return namespace == gateway.ref.namespace
    return False
