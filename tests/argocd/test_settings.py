"""What is a user's stands in one file: changing it changes everything, and nothing else names it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.argocd.repository import ROOT, SETTINGS, UNSET
from tests.bundle.overlays import kustomize_build
from tests.cluster.fixtures import require

FOLDERS = ("applications", "bootstrap", "cluster")
CHANGED = {
    "repoURL": "https://git.example.org/team/policies.git",
    "image": "registry.example.org/team/istio-netpol",
    "targetRevision": "v7.8.9",
    "namespace": "openshift-gitops",
}
DEFAULTS = {"targetRevision": "main", "namespace": "argocd"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of `argocd/` as it is shipped."""
    require("kustomize")
    shutil.copytree(ROOT / "argocd", tmp_path / "argocd")
    return tmp_path


def built(tree: Path, folder: str) -> list[Any]:
    done = kustomize_build(tree / "argocd" / folder)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def words(value: Any) -> Iterator[str]:
    """Every text of a document, of lists and mappings alike."""
    if isinstance(value, dict):
        for below in value.values():
            yield from words(below)
    elif isinstance(value, list):
        for below in value:
            yield from words(below)
    else:
        yield str(value)


def test_one_file_changes_repository_namespace_image_and_revision(tree: Path) -> None:
    """Nothing that Argo CD gets still has a default or a placeholder of that file."""
    settings = yaml.safe_load((tree / SETTINGS).read_text())
    (tree / SETTINGS).write_text(yaml.safe_dump({**settings, **CHANGED}))
    manifests = {folder: built(tree, folder) for folder in FOLDERS}
    for folder, objects in manifests.items():
        said = [word for resource in objects for word in words(resource)]
        assert not {"main", "argocd"} & set(said), folder
        assert not [word for word in said if "components/settings" in word or "bootstrap" in word], folder
        assert {resource["metadata"]["namespace"] for resource in objects} == {"openshift-gitops"}
    (webhook,) = (
        manifest
        for manifest in manifests["cluster"]
        if manifest["metadata"]["name"] == "istio-netpol-webhook"
    )
    assert {"name": "image.repository", "value": CHANGED["image"], "forceString": True} in webhook["spec"][
        "source"
    ]["helm"]["parameters"]
    texts = "".join(yaml.safe_dump(resource) for objects in manifests.values() for resource in objects)
    assert texts.count(CHANGED["repoURL"]) == 3 + 3 + 2
    assert texts.count("targetRevision: v7.8.9") == 1


@pytest.mark.parametrize("missing", ["repoURL", "image"])
def test_what_is_missing_fails_the_build(tree: Path, missing: str) -> None:
    """And is named."""
    text = (tree / SETTINGS).read_text().replace(UNSET, "")
    given = {key: value for key, value in CHANGED.items() if key in ("repoURL", "image") and key != missing}
    (tree / SETTINGS).write_text(text + yaml.safe_dump(given))
    done = kustomize_build(tree / "argocd" / "cluster")
    assert done.returncode != 0
    assert missing in done.stderr


def test_there_is_no_second_place() -> None:
    """No manifest beside the settings says where Argo CD, the repository or the image is."""
    for path in sorted((ROOT / "argocd").rglob("*.yaml")):
        if path.relative_to(ROOT).as_posix() == SETTINGS or path.name == "openshift-gitops.yaml":
            continue
        said = set()
        for document in yaml.safe_load_all(path.read_text()):
            said |= set(words(document))
        assert not said & {"argocd", "openshift-gitops", "main", "istio-netpol:latest"}, path
        assert not [word for word in said if word.startswith(("https://example.com", "registry."))], path
