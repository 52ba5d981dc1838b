"""Examines istiod and the injection of sidecars: labels that policies select, revisions that namespaces ask
for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from istio_netpol.admission.modes import effective_mode
from istio_netpol.certs.webhook_configurations import MUTATING
from istio_netpol.doctor.survey import Manifest, Survey, dig, labels_of, listed, name_of, namespace_of
from istio_netpol.kube.resources import DAEMON_SETS, DEPLOYMENTS, NAMESPACES
from istio_netpol.model.control_plane import (
    AMBIENT_LABEL,
    INJECTION_LABEL,
    INJECTOR_WEBHOOK,
    REVISION_LABEL,
    TAG_LABEL,
)
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.labels import Operator, Requirement, Selector
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.settings import Settings

ISTIOD_TOPIC, INJECTION_TOPIC = "istiod", "Injection"


def istiod(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Every istiod with its namespace, labels and revision."""
    found = survey.all(DEPLOYMENTS, "", "app=istiod")
    if not found:
        yield Diagnosis(
            ISTIOD_TOPIC,
            "Deployments with app: istiod",
            "none",
            Health.NOTE,
            "an istiod outside the cluster is called by address: allow it by ipBlock",
        )
    for deployment in found:
        yield _istiod(deployment, settings)


def _istiod(deployment: Manifest, settings: Settings) -> Diagnosis:
    mesh, namespace = settings.mesh, namespace_of(deployment)
    labels = dig(deployment, "spec", "template", "metadata", "labels") or {}
    title = f"Deployment {namespace}/{name_of(deployment)}"
    revision = labels.get(REVISION_LABEL, "default")
    told = f"revision {revision}, app: istiod"
    if namespace != mesh.root_namespace:
        return Diagnosis(
            ISTIOD_TOPIC,
            title,
            f"{told}, outside of the root namespace {mesh.root_namespace}",
            Health.WRONG,
            f"set mesh.rootNamespace to {namespace}: policies for istiod are written there",
        )
    missing = {key: value for key, value in mesh.istiod_labels.items() if labels.get(key) != value}
    ready = dig(deployment, "status", "readyReplicas") or 0
    if not ready:
        return Diagnosis(
            ISTIOD_TOPIC, title, f"{told}, no replica is ready", Health.WRONG, "look at its pods"
        )
    if missing:
        names = ", ".join(f"{key}: {value}" for key, value in sorted(missing.items()))
        return Diagnosis(
            ISTIOD_TOPIC,
            title,
            f"{told}, without {names}",
            Health.NOTE,
            "set mesh.istiodLabels to its labels: they count where an input holds no istiod",
        )
    return Diagnosis(ISTIOD_TOPIC, title, f"{told}, {ready} ready")


class _Injector(Struct, frozen=True):
    """A webhook that injects: its configuration, and which objects it looks at."""

    name: str
    revision: str
    namespaces: Selector
    objects: Selector


def injection(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Whether a webhook injects where a namespace asks for it, and whether labels contradict each other."""
    injectors = [injector for configuration in survey.all(MUTATING) for injector in _injectors(configuration)]
    revisions = sorted({injector.revision for injector in injectors})
    if injectors:
        yield Diagnosis(
            INJECTION_TOPIC, "MutatingWebhookConfigurations", f"revisions and tags {', '.join(revisions)}"
        )
    by_state: defaultdict[str, list[str]] = defaultdict(list)
    wrong: list[Diagnosis] = []
    for namespace in survey.all(NAMESPACES):
        name, labels = name_of(namespace), labels_of(namespace)
        if name in KUBERNETES_NAMESPACES:
            continue
        by_state[_state(labels)].append(name)
        wrong += _trouble(name, labels, injectors, revisions)
        remark = effective_mode(name, labels, settings.admission).remark
        if remark:
            wrong.append(
                Diagnosis(INJECTION_TOPIC, f"Namespace {name}", remark, Health.WRONG, "correct the label")
            )
    for state, names in sorted(by_state.items()):
        yield Diagnosis(INJECTION_TOPIC, "Namespaces", f"{state}: {', '.join(sorted(names))}")
    yield from wrong
    if by_state.get("ambient") and not any(
        "ztunnel" in name_of(daemon_set) for daemon_set in survey.all(DAEMON_SETS)
    ):
        yield Diagnosis(
            INJECTION_TOPIC,
            "DaemonSet ztunnel",
            f"is not there, and {len(by_state['ambient'])} namespaces are in ambient mode",
            Health.WRONG,
            f"install ztunnel, or take the label {AMBIENT_LABEL} off",
        )


def _state(labels: Mapping[str, str]) -> str:
    if labels.get(AMBIENT_LABEL) == "ambient":
        return "ambient"
    if labels.get(INJECTION_LABEL) == "enabled" or (
        REVISION_LABEL in labels and INJECTION_LABEL not in labels
    ):
        return "sidecars"
    return "no sidecars unless a pod asks for one"


def _trouble(
    name: str, labels: Mapping[str, str], injectors: Sequence[_Injector], revisions: Sequence[str]
) -> Iterator[Diagnosis]:
    title = f"Namespace {name}"
    if INJECTION_LABEL in labels and REVISION_LABEL in labels:
        yield Diagnosis(
            INJECTION_TOPIC,
            title,
            f"has both {INJECTION_LABEL}={labels[INJECTION_LABEL]} and "
            f"{REVISION_LABEL}={labels[REVISION_LABEL]}",
            Health.WRONG,
            f"remove {INJECTION_LABEL}: it wins, and the revision does not count",
        )
    if _state(labels) != "sidecars":
        return
    asked = labels.get(INJECTION_LABEL, "")
    asks = f"{INJECTION_LABEL}={asked}" if asked else f"{REVISION_LABEL}={labels[REVISION_LABEL]}"
    full = {"kubernetes.io/metadata.name": name, **labels}
    if not any(injector.namespaces.matches(full) and injector.objects.matches({}) for injector in injectors):
        known = (
            f"label it {REVISION_LABEL}=… with one of {', '.join(revisions)}"
            if revisions
            else "install istiod"
        )
        yield Diagnosis(
            INJECTION_TOPIC,
            title,
            f"asks for sidecars ({asks}), and no webhook injects there",
            Health.WRONG,
            known,
        )


def _injectors(configuration: Manifest) -> Iterator[_Injector]:
    labels = labels_of(configuration)
    revision = labels.get(TAG_LABEL) or labels.get(REVISION_LABEL) or "default"
    for webhook in listed(configuration.get("webhooks")):
        if str(dig(webhook, "name")).endswith(INJECTOR_WEBHOOK):
            yield _Injector(
                name_of(configuration),
                revision,
                _selector(dig(webhook, "namespaceSelector")),
                _selector(dig(webhook, "objectSelector")),
            )


def _selector(raw: Any) -> Selector:
    labels = dig(raw, "matchLabels") or {}
    requirements = tuple(
        Requirement(
            str(dig(requirement, "key")),
            Operator(str(dig(requirement, "operator"))),
            frozenset(map(str, listed(dig(requirement, "values")))),
        )
        for requirement in listed(dig(raw, "matchExpressions"))
    )
    return Selector(tuple(sorted((str(key), str(value)) for key, value in labels.items())), requirements)
