"""Namespaces of applications in a bundle: what any pod there needs that gets a sidecar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.components import component_of
from istio_netpol.istio.view.injection import is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

STANDARD_NAMESPACES = frozenset({"istio-system", "kyma-system"})
"""Where the bases are for, whose workloads each have policies of their own."""


def application_namespaces(
    policies: Iterable[NetworkPolicy], snapshot: Snapshot, view: MeshView
) -> frozenset[str]:
    """The namespaces in which a policy opens something for whatever pod there is, and that run nothing of the
    control plane."""
    return frozenset(
        policy.namespace
        for policy in policies
        if policy.pod_selector.is_everything
        and any(map(policy.rules, policy.policy_types))
        and policy.namespace not in STANDARD_NAMESPACES | view.trusted_namespaces
        and not any(_is_of_mesh(pods, view) for pods in snapshot.workloads(policy.namespace))
    )


def _is_of_mesh(pods: Workload, view: MeshView) -> bool:
    return component_of(pods) is not None or is_ztunnel(pods) or view.is_gateway(pods)


def pods_to_come(namespaces: Iterable[str]) -> tuple[Workload, ...]:
    """A pod with a sidecar in each of the namespaces, for all that may come there."""
    return tuple(
        Workload(
            ObjectRef("v1", "Pod", name, "any-pod-with-a-sidecar"),
            {"sidecar.istio.io/inject": "true"},
        )
        for name in sorted(namespaces)
    )


def their_flows(pods: Iterable[Workload], snapshot: Snapshot, settings: Settings) -> Iterator[RequiredFlow]:
    """What such pods need: DNS, and istiod."""
    pods = tuple(pods)
    if not pods:
        return
    keys = {workload.ref.key for workload in pods}
    table = FlowTable.of(snapshot.with_changes(put=pods), settings)
    yield from (flow for flow in table.flows() if flow.object.key in keys)
