"""Without a fork: what docs/argocd.md shows of a repository of one's own, rendered by Argo CD itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from release.oci import build_artifact
from tests.argocd.fleet import Fleet
from tests.argocd.installation import NAMESPACE
from tests.argocd.registry import Registry
from tests.argocd.repository import AUTHOR
from tests.gitops.pages import BLOCK, DOCS

pytestmark = pytest.mark.xdist_group("argocd")  # what it starts is started once

OURS, THEIRS = "https://example.com/istio-netpol.git", "https://example.com/team/policies.git"
VALUES = """\
apiVersion: istio-netpol.io/v1
kind: Values
metadata:
  name: values.yaml
  annotations: {config.kubernetes.io/local-config: "true"}
apiServer:
  port: 443
  peers:
  - ipBlock: {cidr: 203.0.113.10/32}
"""
OWN_POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: own-policy, namespace: istio-system}
spec: {podSelector: {matchLabels: {app: own}}, ingress: [{}], policyTypes: [Ingress]}
"""


def shown() -> dict[str, str]:
    """Path and content of each file of the page."""
    text = (DOCS / "argocd.md").read_text(encoding="utf-8")
    return {path: content for _, path, content in BLOCK.findall(text)}


@pytest.fixture
def own(fleet: Fleet, tmp_path: Path) -> str:
    """The address of a repository with the page's overlay, values for the chart, and nothing of ours."""
    folder = tmp_path / "own"
    kustomization = shown()["overlays/prod/kustomization.yaml"]
    files = {
        "overlays/prod/kustomization.yaml": kustomization.replace(OURS, fleet.repository.url).replace(
            "?ref=v0.1.0", "?ref=main"
        ),
        "overlays/prod/values.yaml": VALUES,
        "overlays/prod/own-policy.yaml": OWN_POLICY,
        "webhook/prod.yaml": "fullnameOverride: guard\n",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **AUTHOR}
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["commit", "--quiet", "--message", "Start"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True)
    return f"file://{folder}"


@pytest.fixture
def registry(fleet: Fleet, tmp_path: Path) -> Iterator[Registry]:
    """A registry with the artifact that a release of the fleet's tree consists of."""
    registry = Registry(build_artifact(fleet.repository.work, tmp_path, 1_700_000_000, "0.1.0"))
    yield registry
    registry.stop()


def rendered(fleet: Fleet, name: str, spec: dict[str, Any], *repositories: str) -> set[tuple[str, str]]:
    """Kind and name of what Argo CD makes of an Application that is compared and never synced."""
    api = "argoproj.io/v1alpha1"
    project = {
        "apiVersion": api,
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "sourceRepos": list(repositories),
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }
    given = {
        **spec,
        "project": name,
        "destination": {**spec["destination"], "name": "edge"},
        "syncPolicy": {},
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    fleet.argocd.apply(
        project, {"apiVersion": api, "kind": "Application", "metadata": metadata, "spec": given}
    )

    def compared() -> bool:
        return bool(fleet.application(name).get("status", {}).get("resources"))

    try:
        fleet.wait_until(f"{name} is compared", compared, name)
        return {
            (resource["kind"], resource["name"])
            for resource in fleet.application(name)["status"]["resources"]
        }
    finally:
        fleet.hub.kubectl()("delete", "application,appproject", name, "--namespace", NAMESPACE)


def test_an_overlay_builds_on_a_ref_of_ours(fleet: Fleet, own: str) -> None:
    """Argo CD builds bases from our repository with policies and values from theirs."""
    source = {"repoURL": own, "targetRevision": "main", "path": "overlays/prod"}
    spec = {"source": source, "destination": {"namespace": "istio-system"}}
    found = rendered(fleet, "own-baseline", spec, own)
    assert {
        ("NetworkPolicy", name) for name in ("own-policy", "istiod-to-apiserver", "zz-default-deny")
    } <= found


def test_the_chart_takes_values_from_their_repository(fleet: Fleet, own: str) -> None:
    """The chart is ours at a ref, `$values` theirs."""
    spec = yaml.safe_load(
        shown()["applications/webhook.yaml"].replace(OURS, fleet.repository.url).replace(THEIRS, own)
    )["spec"]
    spec["sources"][0]["targetRevision"] = "main"
    found = rendered(fleet, "own-webhook", spec, own, fleet.repository.url)
    assert {("Deployment", "guard-webhook"), ("NetworkPolicy", "guard-controller")} <= found


def test_the_bundle_comes_from_a_registry(fleet: Fleet, registry: Registry) -> None:
    """Argo CD pulls the artifact of a release and builds the overlay in it."""
    address = f"oci://{registry.address}/istio-netpol/bundle"
    data = {"type": "oci", "url": address, "insecureOCIForceHttp": "true", "insecure": "true"}
    labels = {"argocd.argoproj.io/secret-type": "repository"}
    metadata = {"name": "bundle", "namespace": NAMESPACE, "labels": labels}
    fleet.argocd.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    spec = yaml.safe_load(shown()["applications/baseline-from-artifact.yaml"])["spec"]
    spec["source"]["repoURL"] = address
    found = rendered(fleet, "bundle", spec, address)
    assert {("NetworkPolicy", "istiod-to-dns"), ("NetworkPolicy", "zz-default-deny")} <= found
