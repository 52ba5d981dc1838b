"""CustomResourceDefinitions, read from the Go modules that publish them; none is kept in this repository."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.control_plane import ControlPlane
from tests.tools.programs import PINS

ISTIO = "istio.io/api"
ISTIO_PROGRAMS = "istio.io/istio"
GATEWAY_API = "sigs.k8s.io/gateway-api"
ARGO_ROLLOUTS = "github.com/argoproj/argo-rollouts"
ARGO_CD = "github.com/argoproj/argo-cd/v3"
CERT_MANAGER = "github.com/cert-manager/cert-manager"
KYVERNO = "github.com/kyverno/kyverno"
OPENREPORTS = "github.com/openreports/reports-api"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator"
FLUX_HELM = "github.com/fluxcd/helm-controller"
FLUX_KUSTOMIZE = "github.com/fluxcd/kustomize-controller"
FLUX_SOURCE = "github.com/fluxcd/source-controller"
KWOK = "sigs.k8s.io/kwok"
PINNED_WITH_A_PROGRAM = {ARGO_CD: "argocd", FLUX_KUSTOMIZE: "flux", ISTIO_PROGRAMS: "istio", KWOK: "kwok"}

FILES = {
    ISTIO: "kubernetes/customresourcedefinitions.gen.yaml",
    GATEWAY_API: "config/crd/standard/*.yaml",
    ARGO_ROLLOUTS: "manifests/crds/*-crd.yaml",
    ARGO_CD: "manifests/crds/*-crd.yaml",
    CERT_MANAGER: "deploy/crds/*.yaml",
    KYVERNO: "config/crds/policyreport/*_policyreports.yaml",
    OPENREPORTS: "config/crd/*_reports.yaml",
    PROMETHEUS_OPERATOR: "example/prometheus-operator-crd/*_servicemonitors.yaml "
    "example/prometheus-operator-crd/*_prometheusrules.yaml",
    FLUX_HELM: "config/crd/bases/*.yaml",
    FLUX_KUSTOMIZE: "config/crd/bases/*.yaml",
    FLUX_SOURCE: "config/crd/bases/*.yaml",
}
"""Where each module has them: one pattern or more."""

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

MARK = "defined-for-a-test-with"
"""A label by which definitions are removed in one request; one by one costs the API server far more."""


def crds(module: str) -> Iterator[dict[str, Any]]:
    """The CustomResourceDefinitions of a module, in the version that a go.mod of `tests/tools` pins."""
    folder = module_folder(module)
    for file in sorted(found for pattern in FILES[module].split() for found in folder.glob(pattern)):
        for document in yaml.load_all(file.read_bytes(), yaml.CSafeLoader):
            if document and document["kind"] == "CustomResourceDefinition":
                yield document


def define(plane: ControlPlane, *modules: str) -> list[str]:
    """Has the API server serve the modules' custom resources from now on; the names of the definitions."""
    definitions = [definition for module in modules for definition in crds(module)]
    names = [str(definition["metadata"]["name"]) for definition in definitions]
    for definition in definitions:
        labels = {**definition["metadata"].get("labels", {}), MARK: names[0]}
        plane.create(DEFINITIONS, {**definition, "metadata": {**definition["metadata"], "labels": labels}})
    for name in names:
        plane.wait_until(f"{name} is established", partial(_is_established, plane, name))
    return names


@contextlib.contextmanager
def defined(plane: ControlPlane, *modules: str) -> Iterator[list[str]]:
    """Has the API server serve the modules' custom resources, and removes them at the end with all their
    objects; yields the names of the definitions."""
    names = [str(crd["metadata"]["name"]) for module in modules for crd in crds(module)]
    try:
        yield define(plane, *modules)
    finally:
        plane.api().request("DELETE", f"{DEFINITIONS}?labelSelector={MARK}%3D{names[0]}")
        for name in names:
            plane.wait_until(f"{name} is gone", partial(_is_gone, plane, name))


def _is_established(plane: ControlPlane, name: str) -> bool:
    status = plane.api().request("GET", f"{DEFINITIONS}/{name}").object["status"]
    conditions = status.get("conditions") or []
    return any(
        (condition["type"], condition["status"]) == ("Established", "True") for condition in conditions
    )


def _is_gone(plane: ControlPlane, name: str) -> bool:
    return plane.api().request("GET", f"{DEFINITIONS}/{name}").status == 404


def module_folder(module: str) -> Path:
    """Where Go keeps the module's files; it fetches them unless `make tools` did."""
    go = shutil.which("go")
    assert go is not None, "CRDs are read with Go, which is not installed"
    pin = PINNED_WITH_A_PROGRAM.get(module, "crds")
    command = [go, "-C", str(PINS / pin), "mod", "download", "-json", module]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return Path(json.loads(done.stdout)["Dir"])
