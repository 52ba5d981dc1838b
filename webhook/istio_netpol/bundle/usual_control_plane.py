"""The usual control plane, with those of Kyma's modules that a bundle is for: stands for a cluster where none
is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE, KymaWorkload

OF_THE_USUAL_CONTROL_PLANE = frozenset({"istio-controller-manager", "api-gateway-controller-manager"})
"""Workloads that are there in any case."""

STANDARD = "(the usual control plane)"
"""The file of what is read from the package."""


def usual_control_plane(bundle: Sequence[ClusterObject]) -> tuple[ClusterObject, ...]:
    """The usual control plane; with Kyma and those of its modules that the bundle has policies for."""
    objects = load(read_documents(standard_control_plane(), STANDARD)).objects
    policies = [value for value in bundle if isinstance(value, NetworkPolicy)]
    if any(policy.namespace == KYMA_NAMESPACE for policy in policies):
        gateway = load(read_documents(kyma_gateway(), STANDARD)).objects
        return (*objects, *gateway, *_meant_modules(policies))
    return tuple(value for value in objects if value.ref.namespace != KYMA_NAMESPACE)


def standard_control_plane() -> bytes:
    """The manifests that stand for a control plane where none is given."""
    return files("istio_netpol.bundle").joinpath("control_plane.yaml").read_bytes()


def kyma_gateway() -> bytes:
    """The manifests of Kyma's default gateway and its health route."""
    return files("istio_netpol.bundle").joinpath("kyma_gateway.yaml").read_bytes()


def _meant_modules(policies: Iterable[NetworkPolicy]) -> tuple[Workload, ...]:
    """The workloads that policies of Kyma's namespace select by labels: who brings those runs the module."""
    selectors = [
        policy.pod_selector
        for policy in policies
        if policy.namespace == KYMA_NAMESPACE and not policy.pod_selector.is_everything
    ]
    return tuple(
        module_workload(known)
        for known in KYMA_WORKLOADS
        if known.name not in OF_THE_USUAL_CONTROL_PLANE
        and any(selector.matches(known.labels) for selector in selectors)
    )


def module_workload(known: KymaWorkload) -> Workload:
    """The pods of a workload, with their labels, their ports, and whether they get a sidecar."""
    return Workload(
        ObjectRef("apps/v1", known.kind, KYMA_NAMESPACE, known.name),
        {**known.labels, "sidecar.istio.io/inject": str(known.sidecar).lower()},
        ports=tuple(ContainerPort(port) for port in known.ports),
    )
