"""What docs/gitops.md shows: schemas accept the jobs, and their commands do what the page says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require
from tests.gitops.pages import DOCS, files, objects
from tests.tools.programs import located

ROOT = DOCS.parent
PROGRAMS = Path(sys.executable).parent
PAGE = "gitops.md"
TO_CART = "shop--gateway-to-workload-cart-43a87262-2ada4fe7-b2f1bc78-16fc9f56.yaml"
TO_ISTIOD = "shop--proxy-to-istiod-cart-91f318e4-2ef66922-30ac5af4-7c2ebc91.yaml"
POLICIES = {TO_CART, TO_ISTIOD}
SETTINGS = ".istio-netpol.yaml"
MOUNTED = "/home/argocd/cmp-server/config"


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a step as a CI system does: bash, ending at the first command that fails."""
    require("kustomize")
    kustomize = located("kustomize")
    assert kustomize is not None
    path = f"{PROGRAMS}:{kustomize.parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **variables}
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone whose branch has the shop of the examples and its policies, as the branch `main` has."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    shutil.copytree(ROOT / "docs" / "examples" / "shop", origin / "deploy" / "apps" / "shop")
    (origin / SETTINGS).write_text(files(PAGE)[SETTINGS])
    assert run(files(PAGE)["write-policies.sh"], origin).returncode == 0
    git(origin, "init", "--quiet", "--initial-branch", "main")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message", "Add the shop")
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    return clone


def test_the_tree_is_what_the_page_says(repository: Path) -> None:
    """A file a policy, by namespace and name; with them nothing is denied, and none changes next time."""
    assert {path.name for path in (repository / "deploy" / "policies").iterdir()} == POLICIES
    assert all(name in (DOCS / PAGE).read_text() for name in POLICIES)
    assert run("istio-netpol check deploy --offline", repository).returncode == 0
    assert run(files(PAGE)["write-policies.sh"], repository).returncode == 0
    assert git(repository, "status", "--porcelain") == ""


SCHEMAS = {
    ".github/workflows/netpol.yaml": "github-workflows",
    ".github/workflows/netpol-action.yaml": "github-workflows",
    ".gitlab-ci.yml": "gitlab-ci",
    ".gitlab-ci-component.yml": "gitlab-ci",
}


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_job_is_one_that_its_system_accepts(tmp_path: Path, path: str) -> None:
    """Judged by the published schema of the CI system."""
    file = tmp_path / Path(path).name
    file.write_text(files(PAGE)[path])
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", f"vendor.{SCHEMAS[path]}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def steps() -> dict[str, str]:
    """The commands of the workflow by the names of their steps, without the one that installs us."""
    (workflow,) = objects(PAGE, ".github/workflows/netpol.yaml")
    every = workflow["jobs"]["netpol"]["steps"]
    return {step["name"]: step["run"] for step in every if "run" in step and step["name"] != "Install"}


def test_a_complete_branch_passes_each_step(repository: Path) -> None:
    """Nothing is denied, lost or left ungenerated, and the report for code scanning is empty."""
    for name, script in steps().items():
        done = run(script, repository, GITHUB_BASE_REF="main")
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    assert json.loads((repository / "netpol.sarif").read_text())["runs"][0]["results"] == []


def test_a_branch_that_loses_a_policy_fails_each_step(repository: Path) -> None:
    """The alert is at the line of the workload that needs it, and both comparisons name what is missing."""
    for name in POLICIES:
        (repository / "deploy" / "policies" / name).unlink()
    failed = {name: run(script, repository, GITHUB_BASE_REF="main") for name, script in steps().items()}
    assert {name: done.returncode for name, done in failed.items()} == dict.fromkeys(failed, 1)
    results = json.loads((repository / "netpol.sarif").read_text())["runs"][0]["results"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert {place["artifactLocation"]["uri"] for place in places} == {
        "deploy/apps/shop/cart.yaml",
        "deploy/apps/shop/virtual-service.yaml",
    }
    assert "Required flows that are lost" in failed["Compare with the target branch"].stdout
    assert "cart-91f318e4" in failed["Compare with what is generated"].stdout


def test_a_policy_that_nothing_needs_fails_the_last_step(repository: Path) -> None:
    """What is left over from an application that was removed does not stay unnoticed."""
    shutil.rmtree(repository / "deploy" / "apps" / "shop")
    shutil.copytree(ROOT / "docs" / "examples" / "shop", repository / "deploy" / "apps" / "shop")
    (repository / "deploy" / "apps" / "shop" / "virtual-service.yaml").unlink()
    done = run(steps()["Compare with what is generated"], repository)
    assert done.returncode == 1
    assert f"Only in deploy/policies: {TO_CART}" in done.stdout


def test_gitlab_gets_both_reports_from_a_branch_that_fails(repository: Path) -> None:
    """The job fails after it has written what the merge request shows."""
    (job,) = (pipeline["netpol"] for pipeline in objects(PAGE, ".gitlab-ci.yml"))
    (repository / "deploy" / "policies" / TO_ISTIOD).unlink()
    assert [run(script, repository).returncode for script in job["script"]] == [0, 1]
    assert ET.parse(repository / job["artifacts"]["reports"]["junit"]).getroot().get("failures") == "1"
    (sarif,) = job["artifacts"]["paths"]
    assert len(json.loads((repository / sarif).read_text())["runs"][0]["results"]) == 1


def hook_repository(folder: Path) -> str:
    """A git repository with the hooks of this one; its address."""
    folder.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", folder)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Add the hooks")
    return f"file://{folder}"


def configured(repository: Path, hooks: Path) -> dict[str, Any]:
    """The page's configuration for a repository of hooks. They run the program of this checkout: to install
    it, as `language: python` has it, would take a package index."""
    (config,) = objects(PAGE, ".pre-commit-config.yaml")
    (entry,) = config["repos"]
    entry |= {"repo": hook_repository(hooks), "rev": git(hooks, "rev-parse", "HEAD").strip()}
    entry["hooks"] = [{**hook, "language": "system"} for hook in entry["hooks"]]
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git(repository, "add", ".")
    return dict(config)


def test_pre_commit_runs_the_hook(repository: Path, tmp_path: Path) -> None:
    """A commit that denies a connection is stopped with what is denied, and a complete one is not."""
    configured(repository, tmp_path / "hooks")
    command = f"pre-commit run --all-files --color never --config {repository}/.pre-commit-config.yaml"
    done = run(command, repository, PRE_COMMIT_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    (repository / "deploy" / "policies" / TO_ISTIOD).unlink()
    git(repository, "add", ".")
    done = run(command, repository, PRE_COMMIT_HOME=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "Failed" in done.stdout
    assert "error proxy-to-istiod" in done.stdout


def test_pre_commit_accepts_the_manifest(tmp_path: Path) -> None:
    """And each hook's entry is a command of ours that takes what its arguments say."""
    manifest = ROOT / ".pre-commit-hooks.yaml"
    done = run(f"pre-commit validate-manifest {manifest}", tmp_path)
    assert done.returncode == 0, done.stdout
    hooks = {hook["id"]: hook for hook in yaml.safe_load(manifest.read_text())}
    assert all(hook["language"] == "python" for hook in hooks.values())
    done = run(f"{hooks['istio-netpol-bundle']['entry']} {ROOT}/kustomize/overlays/kind", tmp_path)
    assert done.returncode == 0, done.stderr


def plugin() -> dict[str, Any]:
    """The files of the plugin's ConfigMap."""
    (config,) = objects(PAGE, "argocd/istio-netpol-plugin.yaml")
    data: dict[str, Any] = config["data"]
    return data


def generated(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the sidecar runs in the folder of an application, with the ConfigMap mounted elsewhere."""
    mounted = folder.parent / "config"
    mounted.mkdir(exist_ok=True)
    for name, content in plugin().items():
        (mounted / name).write_text(content.replace(MOUNTED, str(mounted)))
    step = yaml.safe_load((mounted / "plugin.yaml").read_text())["spec"]["generate"]
    require("kustomize")
    kustomize = located("kustomize")
    assert kustomize is not None
    environment = {"PATH": f"{kustomize.parent}:{PROGRAMS}:/usr/bin:/bin"}
    command = [*step["command"], *step["args"]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """The shop as an overlay."""
    folder = tmp_path / "shop"
    shutil.copytree(ROOT / "docs" / "examples" / "shop", folder)
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": sorted(os.listdir(folder))}))
    return folder


def test_the_plugin_renders_an_application_with_its_policies(application: Path, tmp_path: Path) -> None:
    """Everything that Kustomize builds is there, and nothing that it needs is denied."""
    done = generated(application)
    assert done.returncode == 0, done.stderr
    manifests = [document for document in yaml.safe_load_all(done.stdout) if document]
    names = [
        f"{manifest['metadata'].get('namespace')}--{manifest['metadata']['name']}.yaml"
        for manifest in manifests
    ]
    assert set(names) >= POLICIES
    assert {manifest["kind"] for manifest in manifests} >= {
        "Deployment",
        "Namespace",
        "NetworkPolicy",
        "VirtualService",
    }
    (tmp_path / "rendered.yaml").write_text(done.stdout)
    assert run("istio-netpol check rendered.yaml --offline", tmp_path).returncode == 0


def test_the_plugin_fails_where_the_application_does_not_build(application: Path) -> None:
    """Argo CD keeps the last state instead of syncing half of an application."""
    (application / "kustomization.yaml").write_text("resources: [absent.yaml]\n")
    done = generated(application)
    assert done.returncode != 0
    assert done.stdout == ""


def test_the_plugin_has_the_fields_of_argo_cd(control_plane: ControlPlane) -> None:
    """Its settings are those that Argo CD documents; the API server accepts ConfigMap and sidecar."""
    assert (
        yaml.safe_load(plugin()["plugin.yaml"])["apiVersion"],
        yaml.safe_load(plugin()["plugin.yaml"])["kind"],
    ) == ("argoproj.io/v1alpha1", "ConfigManagementPlugin")
    assert yaml.safe_load(plugin()["plugin.yaml"])["spec"].keys() == {"version", "generate"}
    kubectl = control_plane.kubectl()
    kubectl("create", "namespace", "argocd")
    strict = ("--server-side", "--dry-run=server", "--validate=strict", "--filename", "-")
    outcome = kubectl("apply", *strict, stdin=files(PAGE)["argocd/istio-netpol-plugin.yaml"])
    assert outcome.code == 0, outcome.stderr
    (patch,) = objects(PAGE, "argocd/repo-server-patch.yaml")
    outcome = kubectl("apply", *strict, stdin=json.dumps(_repo_server(patch)))
    assert (outcome.code, outcome.stderr) == (0, "")


def _repo_server(patch: dict[str, Any]) -> dict[str, Any]:
    """Argo CD's Deployment as far as the patch builds on it, its volumes and container, and patched."""
    spec = patch["spec"]["template"]["spec"]
    own = [{"name": name, "emptyDir": {}} for name in ("var-files", "plugins")]
    labels = {"app.kubernetes.io/name": "argocd-repo-server"}
    patched = {**spec, "volumes": [*own, *spec["volumes"]]}
    patched["containers"] = [{"name": "argocd-repo-server", "image": "argocd"}, *spec["containers"]]
    template = {"metadata": {"labels": labels}, "spec": patched}
    return {**patch, "spec": {"selector": {"matchLabels": labels}, "template": template}}
