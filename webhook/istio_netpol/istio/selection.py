"""Finds the pods that a policy of Istio's is about: by `selector`, by `targetRefs`, or by its namespace.

Sources: istio.io/latest/docs/reference/config/type/workload-selector/ and .../security/authorization-policy/
(Istio 1.28): without either, a policy holds for its namespace, and in the root namespace for the whole mesh;
a selector in the root namespace selects in all namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from istio_netpol.istio.hbone import waypoint_pods
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.labels import Selector
from istio_netpol.model.mesh_names import GATEWAY_API_GROUP
from istio_netpol.model.references import ObjectRef, TargetRef
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
