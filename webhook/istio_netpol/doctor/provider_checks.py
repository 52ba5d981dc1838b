"""Checks what single providers do to webhooks and pods."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.certs.webhook_configurations import KINDS
from istio_netpol.doctor.platform import TOPIC, recognised
from istio_netpol.doctor.survey import (
    DEPLOYMENTS,
    Manifest,
    Survey,
    dig,
    labels_of,
    listed,
    name_of,
    namespace_of,
)
from istio_netpol.doctor.webhooks import OWN
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.own_names import OWNER

ENFORCER = "admissions.enforcer/disabled"
"""Label or annotation by which AKS leaves a webhook configuration alone (AKS, frequently asked questions)."""

ADDED_BY_AKS = frozenset({"control-plane", "kubernetes.azure.com/managedby"})
"""Keys of the namespaceSelector that the admissions enforcer adds."""

OURS = f"app.kubernetes.io/name={OWNER}"


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
    for deployment in survey.all(DEPLOYMENTS, "", OURS):
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
