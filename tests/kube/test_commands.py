"""Commands that read a live cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import ADMIN, NOBODY
from tests.kube.manifests import DENY_ALL, deployment
from tests.serving.process import SOURCE_ROOT


def run(plane: ControlPlane, *arguments: str, user: str = ADMIN) -> subprocess.CompletedProcess[str]:
    """Runs a command with the kubeconfig of a user."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "KUBECONFIG": str(plane.kubeconfig(user))}
    command = [sys.executable, "-m", "istio_netpol", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_check_judges_a_cluster_as_it_would_be_with_the_files_applied(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The deny-all is the cluster's, the Deployment the file's: found is what apply would run into."""
    namespace = control_plane.namespace({"istio-injection": "enabled"})
    control_plane.create(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", DENY_ALL)
    manifest = tmp_path / "web.yaml"
    manifest.write_text(yaml.safe_dump(deployment("web", namespace)))
    done = run(control_plane, "check", "--context", ADMIN, "--offline", "-f", "json", str(manifest))
    assert done.returncode == 1, done.stderr
    found = [
        finding
        for finding in json.loads(done.stdout)["findings"]
        if finding["object"]["namespace"] == namespace
    ]
    assert {finding["object"]["name"] for finding in found} == {"web"}


@pytest.mark.parametrize("arguments", [["generate"], ["list"], ["check"]])
def test_a_cluster_is_input_enough(control_plane: ControlPlane, arguments: list[str]) -> None:
    """No PATH is needed besides, and standard output holds nothing that does not belong there."""
    done = run(control_plane, *arguments, "--context", ADMIN)
    assert done.returncode in {0, 1}, done.stderr
    assert "watching" not in done.stdout


def test_diff_tells_what_applying_a_folder_would_do_to_a_cluster(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The workload is the cluster's, the deny-all the folder's: what runs would lose what it needs. What a
    folder does not name stays, so applying what is there already changes nothing."""
    namespace = control_plane.namespace({"istio-injection": "enabled"})
    web = deployment("web", namespace)
    control_plane.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", web)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "web.yaml").write_text(yaml.safe_dump(web))
    command = ("diff", "--context", ADMIN, "--offline", "-f", "json", str(folder))
    same = run(control_plane, *command)
    assert same.returncode == 0, same.stderr
    assert [
        entry for part in json.loads(same.stdout).values() if isinstance(part, list) for entry in part
    ] == []
    denied = {**DENY_ALL, "metadata": {"name": "default-deny", "namespace": namespace}}
    (folder / "deny.yaml").write_text(yaml.safe_dump(denied))
    worse = run(control_plane, *command)
    assert worse.returncode == 1, worse.stderr
    lost = json.loads(worse.stdout)["flowsLost"]
    assert {flow["object"]["name"] for flow in lost} == {"web"}


def test_generate_writes_what_a_refused_deny_all_needs_first(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """As the refusal says where it has no room: the deny-all is the file's, so its remedies are for pods that
    are open in the cluster, and each allows at once all that they need."""
    namespace = control_plane.namespace({"istio-injection": "enabled"})
    control_plane.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("web", namespace))
    refused = tmp_path / "deny.yaml"
    denied = {**DENY_ALL, "metadata": {"name": "default-deny", "namespace": namespace}}
    refused.write_text(yaml.safe_dump(denied))
    done = run(control_plane, "generate", "--context", ADMIN, "--offline", str(refused))
    assert done.returncode == 0, done.stderr
    (policy,) = [
        document
        for document in yaml.safe_load_all(done.stdout)
        if document["metadata"]["namespace"] == namespace
    ]
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} >= {53, 15012}
    assert "apply these policies before the deny-all, which comes last" in done.stderr


def test_what_may_not_be_read_is_told_at_once(control_plane: ControlPlane) -> None:
    """Half a cluster would be judged wrongly: the command ends with the rights that are missing."""
    done = run(control_plane, "check", "--context", NOBODY, user=NOBODY)
    assert done.returncode == 2
    assert 'cannot list resource "pods"' in done.stderr
    assert 'cannot list resource "networkpolicies"' in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_context_is_a_sentence(control_plane: ControlPlane) -> None:
    """The name is told, and no traceback."""
    done = run(control_plane, "check", "--context", "elsewhere")
    assert done.returncode == 2
    assert "elsewhere" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def two_namespaces(control_plane: ControlPlane) -> tuple[str, str]:
    """Namespaces with a workload each that a deny-all cuts from its istiod."""
    made = []
    for _ in range(2):
        namespace = control_plane.namespace({"istio-injection": "enabled"})
        control_plane.create(
            f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("web", namespace)
        )
        control_plane.create(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", DENY_ALL)
        made.append(namespace)
    return made[0], made[1]


def namespaces_of(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 1, done.stderr
    return {found["object"]["namespace"] for found in json.loads(done.stdout)["findings"] if found["flow"]}


def test_the_current_context_is_read_where_no_path_is_given(
    control_plane: ControlPlane, two_namespaces: tuple[str, str]
) -> None:
    """And one namespace is reported, which -n names, or all with -A; standard error says so."""
    here, elsewhere = two_namespaces
    command = ("check", "--offline", "-f", "json")
    one = run(control_plane, *command, "-n", here)
    assert namespaces_of(one) == {here}
    assert f"reading the cluster of context {ADMIN}, reporting on namespace {here} (-A for all)" in one.stderr
    everywhere = run(control_plane, *command, "-A")
    assert {here, elsewhere} <= namespaces_of(everywhere)
    assert f"reading the cluster of context {ADMIN}\n" in everywhere.stderr


def test_the_namespace_of_the_context_counts(
    control_plane: ControlPlane, two_namespaces: tuple[str, str], tmp_path: Path
) -> None:
    """As for kubectl; the kubeconfig may be named in place of the environment's."""
    here, _ = two_namespaces
    kubeconfig = yaml.safe_load(control_plane.kubeconfig(ADMIN).read_text())
    for context in kubeconfig["contexts"]:
        context["context"]["namespace"] = here
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig))
    done = run(control_plane, "check", "--kubeconfig", str(file), "--offline", "-f", "json", user=NOBODY)
    assert namespaces_of(done) == {here}


def test_what_is_generated_and_listed_of_a_namespace_is_about_it(
    control_plane: ControlPlane, two_namespaces: tuple[str, str]
) -> None:
    """Policies that its objects need, and connections with an end there."""
    here, elsewhere = two_namespaces
    policies = run(control_plane, "generate", "-n", here, "--offline")
    assert {policy["metadata"]["namespace"] for policy in yaml.safe_load_all(policies.stdout)} == {here}
    connections = json.loads(run(control_plane, "list", "-n", here, "-f", "json").stdout)["connections"]
    assert all(
        any(peer.startswith(f"{here}/") for peer in (connection["source"], connection["destination"]))
        for connection in connections
    )
    assert elsewhere not in policies.stdout


def test_diff_compares_with_the_current_context(
    control_plane: ControlPlane, two_namespaces: tuple[str, str], tmp_path: Path
) -> None:
    """One PATH is the new state of what the cluster has, in the namespace that -n names."""
    here, _ = two_namespaces
    more = deployment("more", here)
    del more["metadata"]["namespace"]
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(more))
    done = run(control_plane, "diff", "-n", here, "--offline", "-f", "json", str(tmp_path / "new.yaml"))
    assert done.returncode in {0, 1}, done.stderr
    gained = json.loads(done.stdout)["flowsGained"] + json.loads(done.stdout)["flowsLost"]
    assert {found["object"]["namespace"] for found in gained} <= {here}
    assert "more" in {found["object"]["name"] for found in gained}
