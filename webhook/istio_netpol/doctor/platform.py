"""Recognises where a cluster comes from, and checks what its provider does to webhooks and pods.

Providers leave labels and objects in a cluster, which tell the overlay of the bundle that is for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from istio_netpol.certs.webhook_configurations import KINDS
from istio_netpol.doctor.survey import Manifest, Survey, dig, labels_of, listed, name_of, namespace_of
from istio_netpol.doctor.webhooks import OWN
from istio_netpol.kube.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, NODES
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.own_names import OWNER
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
            f"no trace of a provider was found: {generic.title}; the overlay {generic.id} fits",
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


ENFORCER = "admissions.enforcer/disabled"
"""Label or annotation by which AKS leaves a webhook configuration alone (AKS, frequently asked questions)."""

ADDED_BY_AKS = frozenset({"control-plane", "kubernetes.azure.com/managedby"})
"""Keys of the namespaceSelector that the admissions enforcer adds."""

OWN_SELECTOR = f"app.kubernetes.io/name={OWNER}"


def provider_checks(survey: Survey) -> Iterator[Diagnosis]:
    """What the provider of this cluster is known to change, or to refuse."""
    found = recognised(survey)
    environment = found.environment.id if found else ""
    if environment == "aks":
        yield from _admissions_enforcer(survey)
    if environment == "openshift":
        yield from _security_context_constraints(survey)


def _admissions_enforcer(survey: Survey) -> Iterator[Diagnosis]:
    for resource in KINDS:
        for configuration in survey.all(resource):
            webhooks = listed(configuration.get("webhooks"))
            if any(str(dig(webhook, "name")).endswith(OWN) for webhook in webhooks):
                yield _left_alone(f"{resource.kind} {name_of(configuration)}", configuration, webhooks)


def _left_alone(title: str, configuration: Manifest, webhooks: list[Manifest]) -> Diagnosis:
    annotations = dig(configuration, "metadata", "annotations") or {}
    if "true" in (labels_of(configuration).get(ENFORCER), str(annotations.get(ENFORCER)).lower()):
        return Diagnosis(TOPIC, title, f"has {ENFORCER}: AKS leaves its selectors alone")
    is_rewritten = any(
        dig(expression, "key") in ADDED_BY_AKS
        for webhook in webhooks
        for expression in listed(dig(webhook, "namespaceSelector", "matchExpressions"))
    )
    done = (
        "AKS has added to its namespaceSelector" if is_rewritten else "AKS may add to its namespaceSelector"
    )
    return Diagnosis(
        TOPIC,
        title,
        f"{done}, which GitOps shows as a difference and server-side apply as a conflict",
        Health.WRONG if is_rewritten else Health.NOTE,
        f"label it {ENFORCER}: 'true', as the chart's platforms/aks.yaml does",
    )


def _security_context_constraints(survey: Survey) -> Iterator[Diagnosis]:
    """OpenShift's restricted-v2 assigns users and groups, and refuses pods that choose one outside of the
    namespace's range."""
    for deployment in survey.all(DEPLOYMENTS, "", OWN_SELECTOR):
        context = dig(deployment, "spec", "template", "spec", "securityContext")
        chosen = [key for key in ("runAsUser", "runAsGroup", "fsGroup") if dig(context, key) is not None]
        title = f"Deployment {namespace_of(deployment)}/{name_of(deployment)}"
        if not chosen:
            yield Diagnosis(TOPIC, title, "leaves its user to OpenShift")
            continue
        is_running = bool(dig(deployment, "status", "readyReplicas"))
        yield Diagnosis(
            TOPIC,
            title,
            f"chooses {', '.join(chosen)}, which restricted-v2 refuses",
            Health.NOTE if is_running else Health.WRONG,
            "render the chart with its platforms/openshift.yaml, which leaves them out",
        )
