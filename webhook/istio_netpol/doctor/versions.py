"""Compares the versions of Kubernetes, Istio and Kyma with those that were tested."""

from __future__ import annotations

import re
from collections.abc import Iterator

from istio_netpol.doctor.survey import Manifest, Survey, dig, listed, name_of, namespace_of
from istio_netpol.kube.resources import DEPLOYMENTS
from istio_netpol.model import tested_versions
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE

TOPIC = "Versions"
_NUMBER = re.compile(r"(\d+)\.(\d+)")
_MODULES = {"istio-controller-manager": "istio", "api-gateway-controller-manager": "api-gateway"}
"""The managers of Kyma's modules by their Deployments in kyma-system."""


def kubernetes_version(version: str) -> Iterator[Diagnosis]:
    """The version of the API server, which has answered already."""
    numbers = _numbers(version)
    if numbers and numbers < tested_versions.OLDEST_KUBERNETES:
        oldest = ".".join(map(str, tested_versions.OLDEST_KUBERNETES))
        yield Diagnosis(
            TOPIC, "Kubernetes", version, Health.WRONG, f"use {oldest} or later: older ones can't be watched"
        )
        return
    yield _beside("Kubernetes", version, tested_versions.KUBERNETES)


def istio_versions(survey: Survey) -> Iterator[Diagnosis]:
    """The version of every istiod, by the tag of its image."""
    for deployment in survey.all(DEPLOYMENTS, "", "app=istiod"):
        title = f"Istio, Deployment {namespace_of(deployment)}/{name_of(deployment)}"
        yield _beside(title, _tag(deployment), tested_versions.ISTIO)


def kyma_versions(survey: Survey) -> Iterator[Diagnosis]:
    """The versions of Kyma's modules whose pods the rules know."""
    for deployment in survey.all(DEPLOYMENTS, KYMA_NAMESPACE):
        module = _MODULES.get(name_of(deployment))
        if module:
            title = f"Kyma module {module}"
            yield _beside(title, _tag(deployment), tested_versions.KYMA_MODULES[module])


def _beside(title: str, version: str, tested: str) -> Diagnosis:
    numbers = _numbers(version)
    if not numbers:
        return Diagnosis(
            TOPIC, title, f"{version or 'not told by its image'}; {tested} was tested", Health.NOTE
        )
    if numbers == _numbers(tested):
        return Diagnosis(TOPIC, title, f"{version}, which was tested")
    return Diagnosis(
        TOPIC,
        title,
        f"{version}; {tested} was tested",
        Health.NOTE,
        "try it on a cluster that may fail before you rely on it",
    )


def _numbers(version: str) -> tuple[int, int] | None:
    found = _NUMBER.search(version)
    return (int(found[1]), int(found[2])) if found else None


def _tag(deployment: Manifest) -> str:
    """The tag of the first container's image; empty for one that is named by its digest alone."""
    containers = listed(dig(deployment, "spec", "template", "spec", "containers"))
    image = str(dig(containers[0], "image") or "") if containers else ""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]
