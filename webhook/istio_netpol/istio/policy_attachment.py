"""Finds the pods that a policy of Istio's is about, by `selector`, by `targetRefs` or by its namespace; and
of a proxy, which policies it carries out.

Sources: istio.io/latest/docs/reference/config/type/workload-selector/ and .../security/authorization-policy/
(Istio 1.28): without either, a policy holds for its namespace, and in the root namespace for the whole mesh;
a selector in the root namespace selects in all namespaces.

Source: `ShouldAttachPolicy` in `pilot/pkg/model/policyattachment.go` (Istio 1.31). Pods of a Gateway API
gateway heed `targetRefs`, or a selector where there are none; a waypoint heeds `targetRefs` alone, those to
its Services too; all others heed selectors, and ztunnel with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from msgspec import Struct

from istio_netpol.istio.hbone import waypoint_pods
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.gateway_api import GATEWAY_API_GROUP
from istio_netpol.model.istio_security import AuthorizationPolicy, RequestAuthentication
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef, TargetRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


class WorkloadPolicy(Protocol):
    """What RequestAuthentication, AuthorizationPolicy and Telemetry have in common."""

    @property
    def ref(self) -> ObjectRef: ...

    @property
    def selector(self) -> Mapping[str, str] | None: ...

    @property
    def target_refs(self) -> tuple[TargetRef, ...]: ...


class Target(Struct, frozen=True):
    """Pods that a policy is about. `proxies` enforce it: the pods themselves, or the waypoint before the
    Service that it targets."""

    pods: tuple[Workload, ...] = ()
    proxies: tuple[Workload, ...] = ()


def is_mesh_wide(view: MeshView, policy: WorkloadPolicy) -> bool:
    """Whether the policy holds for every pod of the mesh."""
    return policy.ref.namespace == view.root_namespace and not policy.selector and not policy.target_refs


def enforcing_proxies(view: MeshView, policy: WorkloadPolicy) -> tuple[Workload, ...]:
    """The pods whose Envoy carries the policy out: sidecars, gateways and waypoints, but not pods in ambient
    mode, which have no Envoy."""
    found = dict.fromkeys(pod for target in targets(view, policy) for pod in target.proxies)
    return tuple(pod for pod in found if view.injection(pod).injected or view.is_gateway(pod))


def targets(view: MeshView, policy: WorkloadPolicy) -> Iterator[Target]:
    """The pods of the mesh that the policy is about, grouped by the `targetRefs` entry that names them."""
    if policy.target_refs:
        for ref in policy.target_refs:
            # Istio takes targets of the policy's own namespace only, whatever the reference says.
            if ref.namespace in ("", policy.ref.namespace):
                yield _target(view, ref, policy.ref.namespace)
        return
    pods = tuple(pod for pod in _selected(view, policy) if view.in_mesh(pod))
    yield Target(pods, pods)


def _selected(view: MeshView, policy: WorkloadPolicy) -> Iterable[Workload]:
    selector = Selector.of(policy.selector or {})
    if policy.ref.namespace == view.root_namespace:
        return view.selected_anywhere(selector)
    return view.selected(policy.ref.namespace, selector)


def _target(view: MeshView, ref: TargetRef, namespace: str) -> Target:
    """Gateways and Services; other targets (ServiceEntry, GatewayClass) name no pods."""
    if ref.kind == "Gateway" and ref.group == GATEWAY_API_GROUP:
        gateway = view.find_kubernetes_gateway(namespace, ref.name)
        pods = view.kubernetes_gateway_workloads(gateway) if gateway else ()
        return Target(pods, pods)
    if ref.kind == "Service" and not ref.group:
        service = view.find_service(namespace, ref.name)
        if service is not None:
            return Target(view.service_pods(service), waypoint_pods(view, service))
    return Target()


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
