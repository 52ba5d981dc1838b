"""Finds which of Istio's policies a proxy carries out.

Source: `ShouldAttachPolicy` in `pilot/pkg/model/policyattachment.go` (Istio 1.31). Pods of a Gateway API
gateway heed `targetRefs`, or a selector where there are none; a waypoint heeds `targetRefs` alone, those to
its Services too; all others heed selectors, and ztunnel with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from istio_netpol.istio.selection import WorkloadPolicy
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.istio_security import AuthorizationPolicy, RequestAuthentication
from istio_netpol.model.mesh_names import GATEWAY_API_GROUP
from istio_netpol.model.references import TargetRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
WAYPOINT_CLASS = "istio-waypoint"

Policy = TypeVar("Policy", AuthorizationPolicy, RequestAuthentication)


def attached(
    view: MeshView, type_: type[Policy], proxy: Workload, service: Service | None = None
) -> tuple[Policy, ...]:
    """The policies of a type that hold at the proxy of pods, sorted by namespace and name; `service` is the
    one that is called through a waypoint."""
    homes = {view.root_namespace, proxy.namespace}
    if service is not None and is_waypoint(view, proxy):
        homes.add(service.namespace)
    return tuple(
        policy
        for home in sorted(homes)
        for policy in view.all(type_, home)
        if _holds(policy, proxy, service, view)
    )


def is_waypoint(view: MeshView, proxy: Workload) -> bool:
    """Whether pods are a waypoint's."""
    name = proxy.labels.get(GATEWAY_NAME)
    gateway = view.find_kubernetes_gateway(proxy.namespace, name) if name else None
    return gateway is not None and view.is_waypoint(gateway)


def _holds(policy: WorkloadPolicy, proxy: Workload, service: Service | None, view: MeshView) -> bool:
    name = proxy.labels.get(GATEWAY_NAME)
    if name is None:
        return not policy.target_refs and _selects(policy, proxy, view)
    waypoint = is_waypoint(view, proxy)
    if not policy.target_refs:
        return not waypoint and _selects(policy, proxy, view)
    targets: Iterator[TargetRef] = iter(policy.target_refs)
    return any(
        _is_target(ref, policy, proxy, name)
        or (waypoint and _is_behind(ref, policy, service, view.root_namespace))
        for ref in targets
    )


def _selects(policy: WorkloadPolicy, proxy: Workload, view: MeshView) -> bool:
    is_near = policy.ref.namespace in (proxy.namespace, view.root_namespace)
    return is_near and (policy.selector or {}).items() <= proxy.labels.items()


def _is_target(ref: TargetRef, policy: WorkloadPolicy, proxy: Workload, gateway: str) -> bool:
    """Whether a reference means the Gateway whose pods these are: one of its own namespace."""
    is_gateway = (ref.group, ref.kind, ref.name) == (GATEWAY_API_GROUP, "Gateway", gateway)
    return is_gateway and policy.ref.namespace == proxy.namespace and ref.namespace in ("", proxy.namespace)


def _is_behind(ref: TargetRef, policy: WorkloadPolicy, service: Service | None, root: str) -> bool:
    """Whether a reference means the Service that is called through a waypoint, or every waypoint."""
    if (ref.group, ref.kind) == (GATEWAY_API_GROUP, "GatewayClass"):
        return policy.ref.namespace == root and ref.name == WAYPOINT_CLASS
    is_service = service is not None and (ref.group, ref.kind) in (("", "Service"), ("core", "Service"))
    return bool(
        is_service and service and (ref.name, policy.ref.namespace) == (service.name, service.namespace)
    )
