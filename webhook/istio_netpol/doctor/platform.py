"""Recognises where a cluster comes from, by what providers leave in it, and which overlay of the bundle is
for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from istio_netpol.doctor.survey import (
    CONFIG_MAPS,
    NAMESPACES,
    NODES,
    Manifest,
    Survey,
    dig,
    labels_of,
    name_of,
)
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.platforms.environments import ENVIRONMENTS_BY_ID, KUBE_SYSTEM, Environment
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE

TOPIC = "Platform"
GARDENER_PURPOSE = "gardener.cloud/purpose"
SHOOT_INFO = "shoot-info"
"""The ConfigMap that Gardener keeps in kube-system of each shoot (read by Kyma's eventing, among others)."""

COMPUTE_TYPE, AUTO = "eks.amazonaws.com/compute-type", "auto"
"""On nodes of EKS Auto Mode (EKS user guide, "Control if a workload is deployed on EKS Auto Mode nodes")."""


class Recognised(Struct, frozen=True):
    """An environment, and what in the cluster shows it."""

    environment: Environment
    evidence: str


def recognised(survey: Survey) -> Recognised | None:
    """The environment that the cluster is from; None where nothing says so. Raises NotSeenError."""
    return _gardener(survey) or _of_nodes(survey)


def platform(survey: Survey) -> Iterator[Diagnosis]:
    """The environment, and its overlay."""
    found = recognised(survey)
    if found is None:
        generic = ENVIRONMENTS_BY_ID["generic"]
        yield Diagnosis(
            TOPIC,
            "environment",
            f"nothing of a provider is there: {generic.title}; the overlay {generic.id} fits",
        )
        return
    environment = found.environment
    text = f"{environment.title}, by {found.evidence}; the overlay {environment.id} is for it"
    yield Diagnosis(TOPIC, "environment", text)
    if environment.remark:
        yield Diagnosis(TOPIC, environment.title, environment.remark, Health.NOTE)
    if environment.id == "kyma-gardener":
        yield Diagnosis(
            TOPIC,
            "SAP BTP, Kyma runtime",
            "refuses a default-deny in Kyma's own namespaces, and can't be told from other Kyma on Gardener",
            Health.NOTE,
            "take the overlay kyma-btp there; --dry-run-server finds out whether a default-deny is refused",
        )


def _gardener(survey: Survey) -> Recognised | None:
    namespaces = {name_of(namespace): namespace for namespace in survey.all(NAMESPACES)}
    system = namespaces.get(KUBE_SYSTEM)
    evidence = ""
    if system is not None and GARDENER_PURPOSE in labels_of(system):
        evidence = f"label {GARDENER_PURPOSE} of Namespace {KUBE_SYSTEM}"
    elif survey.named(CONFIG_MAPS, SHOOT_INFO, KUBE_SYSTEM) is not None:
        evidence = f"ConfigMap {KUBE_SYSTEM}/{SHOOT_INFO}"
    if not evidence:
        return None
    has_kyma = KYMA_NAMESPACE in namespaces
    return Recognised(ENVIRONMENTS_BY_ID["kyma-gardener" if has_kyma else "gardener"], evidence)


def _of_nodes(survey: Survey) -> Recognised | None:
    nodes = survey.all(NODES)
    if nodes and all(labels_of(node).get(COMPUTE_TYPE) == AUTO for node in nodes):
        return Recognised(ENVIRONMENTS_BY_ID["eks-auto"], f"label {COMPUTE_TYPE} of all nodes")
    for node in nodes:
        for id_, mark in _MARKS:
            evidence = mark(node)
            if evidence:
                return Recognised(ENVIRONMENTS_BY_ID[id_], f"{evidence} of Node {name_of(node)}")
    return None


def _labelled(*keys: str) -> Callable[[Manifest], str]:
    def mark(node: Manifest) -> str:
        return next((f"label {key}" for key in keys if key in labels_of(node)), "")

    return mark


def _kubelet(part: str) -> Callable[[Manifest], str]:
    def mark(node: Manifest) -> str:
        version = str(dig(node, "status", "nodeInfo", "kubeletVersion") or "")
        return f"kubelet {version}" if part in version else ""

    return mark


def _provided(scheme: str) -> Callable[[Manifest], str]:
    def mark(node: Manifest) -> str:
        provider = str(dig(node, "spec", "providerID") or "")
        return f"providerID {provider}" if provider.startswith(f"{scheme}://") else ""

    return mark


_MARKS: tuple[tuple[str, Callable[[Manifest], str]], ...] = (
    ("eks", _labelled("eks.amazonaws.com/nodegroup", COMPUTE_TYPE)),
    ("eks", _kubelet("-eks-")),
    ("gke", _labelled("cloud.google.com/gke-nodepool")),
    ("gke", _kubelet("-gke.")),
    ("aks", _labelled("kubernetes.azure.com/cluster")),
    ("openshift", _labelled("node.openshift.io/os_id")),
    ("k3d", _kubelet("+k3s")),
    ("kind", _provided("kind")),
)
"""What providers write on their nodes: labels of the managed services, versions of their kubelets, and the
cloud controller's providerID (which EKS shares with any machine of AWS)."""
