"""Which component of the bundle brings the policies of a workload that is known."""

from __future__ import annotations

from collections.abc import Collection

from istio_netpol.analysis.bundle_coverage.applied_bundle import Applied
from istio_netpol.istio.components import CNI_NODE, component_of
from istio_netpol.istio.rules.scrape import CNI_PORT
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.kyma_modules import kyma_workload
from istio_netpol.platforms.kyma_workload import KymaWorkload, OwnPolicies

COMPONENTS = {
    "istio": "kyma",
    "api-gateway": "kyma",
    "application-connector": "kyma-application-connector",
    "btp-operator": "kyma-btp-operator",
    "connectivity-proxy": "kyma-connectivity-proxy",
    "eventing": "kyma-eventing",
    "keda": "kyma-keda",
    "nats": "kyma-nats",
    "rt-bootstrapper": "kyma-rt-bootstrapper",
    "warden": "kyma-warden",
}
"""The components in kustomize/components by the module of Kyma that they are for."""

CNI_METRICS, KYMA_METRICS = "metrics", "kyma-metrics"
"""The components that open the metrics of Istio's CNI agent, and those of Kyma's operators."""

OF_WORKLOADS = {"oathkeeper": "kyma-oathkeeper"}
"""Those that are for one workload of a module."""


def known_module(workload: Workload) -> KymaWorkload | None:
    """The workload of a module of Kyma that pods are, if they are one."""
    return kyma_workload(workload.namespace, workload.labels)


def component_for(known: KymaWorkload) -> str:
    """The component that is for a workload; empty where the module brings all that it needs itself."""
    return OF_WORKLOADS.get(known.name) or COMPONENTS.get(known.module, "")


def component_for_metrics(workload: Workload, closed: Collection[int]) -> str:
    """The component that opens these ports, where all of them are those on which a known module, or the
    CNI agent, has its metrics; empty otherwise."""
    known = known_module(workload)
    is_agent = known is None and component_of(workload) is CNI_NODE
    offered = known.metrics if known else (CNI_PORT,) if is_agent else ()
    if not closed or not set(closed) <= set(offered):
        return ""
    return CNI_METRICS if is_agent else KYMA_METRICS


def hint(workload: Workload, direction: Direction, applied: Applied) -> str:
    """What a known module's users do about a side that is cut; empty where nothing is known, or the overlay
    has policies for these pods already."""
    known = known_module(workload)
    if known is None or _has_policies(workload, direction, applied):
        return ""
    component = component_for(known)
    told = f"it is {known.name} of Kyma's module {known.module}"
    if known.own is OwnPolicies.ON:
        brings = (
            f"{told}, which brings policies of its own: `kubectl get networkpolicies -n {workload.namespace}`"
        )
        rest = f"; the component {component} has what they leave closed" if component else ""
        return f"{brings} shows whether they are there{rest}"
    takes = f"{told}: take the component {component} into the overlay" if component else told
    return f"{takes}, or switch the module's own policies on" if known.own is OwnPolicies.OFF else takes


def _has_policies(workload: Workload, direction: Direction, applied: Applied) -> bool:
    return any(
        policy.key in applied.own and policy.rules(direction)
        for policy in applied.after.policies_for(workload)
    )
