"""Finds the Gateway to which a ListenerSet adds its listeners.

Sources: gateway-api.sigs.k8s.io/geps/gep-1713/ (Gateway API 1.5), `ListenerSetCollection` in
`pilot/pkg/config/kube/gateway/gateway_collection.go` (Istio 1.31).
"""

from __future__ import annotations

from istio_netpol.istio.attachment import admits_sets
from istio_netpol.istio.unnamed import not_granted, unknown
from istio_netpol.istio.view.gateway_classes import GatewayRole
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.gateway_api import KubernetesGateway, ListenerSet
from istio_netpol.model.mesh_names import GATEWAY_API_GROUP

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
    if not admits_sets(gateway, ref.namespace, view):
        sentence = (
            f"{gateway.ref} admits no ListenerSets of namespace {ref.namespace}; allow them in its "
            "allowedListeners.namespaces"
        )
        return not_granted(ref, "spec.parentRef", sentence)
    return gateway
