"""The examination of a real API server, by people who may see more or less of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import NODE_ADDRESS, ControlPlane
from tests.cluster.fixtures import started
from tests.cluster.users import ADMIN, NOBODY, TENANT
from tests.serving.process import SOURCE_ROOT

RBAC = "/apis/rbac.authorization.k8s.io/v1"
DNS_LABELS = {"k8s-app": "kube-dns"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster of this module's own, with DNS and a network plugin."""
    with started(tmp_path_factory.mktemp("doctor")) as plane:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        plane.create("/api/v1/namespaces/kube-system/serviceaccounts", account, unless_there=True)
        container = {"name": "c", "image": "i"}
        template = {"metadata": {"labels": {"app": "cilium"}}, "spec": {"containers": [container]}}
        spec = {"selector": {"matchLabels": {"app": "cilium"}}, "template": template}
        cilium = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "cilium"}, "spec": spec}
        plane.create("/apis/apps/v1/namespaces/kube-system/daemonsets", cilium)
        ports = [{"name": "dns", "port": 53, "protocol": "UDP"}]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns"}}
        plane.create(
            "/api/v1/namespaces/kube-system/services",
            {**service, "spec": {"selector": DNS_LABELS, "ports": ports}},
        )
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "coredns", "labels": DNS_LABELS}}
        created = plane.create(
            "/api/v1/namespaces/kube-system/pods", {**pod, "spec": {"containers": [container]}}
        )
        running = {**created, "status": {"phase": "Running"}}
        plane.api().request("PUT", "/api/v1/namespaces/kube-system/pods/coredns/status", running)
        yield plane


def doctor(
    plane: ControlPlane, *arguments: str, user: str = ADMIN, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user; it talks to nobody else."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT)}
    file = kubeconfig or plane.kubeconfig(user)
    command = [sys.executable, "-m", "istio_netpol", "doctor", "--kubeconfig", str(file), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def findings(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    document = json.loads(done.stdout)
    assert document["kind"] == "Examination"
    assert document["well"] == (done.returncode == 0)
    return list(document["findings"])


def test_who_may_see_everything_sees_what_is_there(plane: ControlPlane) -> None:
    done = doctor(plane, "-f", "json")
    assert done.returncode == 0, done.stdout
    found = {(finding["topic"], finding["lookedAt"]): finding for finding in findings(done)}
    assert NODE_ADDRESS in found["API server", "EndpointSlice default/kubernetes"]["found"]
    assert "k8s-app=kube-dns, port 53" in found["DNS", "Service kube-system/kube-dns"]["found"]
    assert "Cilium" in found["Network plugin", "DaemonSet kube-system/cilium"]["found"]
    assert found["Network plugin", "enforcement"]["found"] == "not probed"
    assert found["Versions", "Kubernetes"]["verdict"] == "ok"
    assert not [finding for finding in found.values() if finding["verdict"] == "not seen"]


def test_the_text_says_the_same_to_people(plane: ControlPlane) -> None:
    done = doctor(plane)
    assert done.returncode == 0
    assert (
        "  ok        Service kube-system/kube-dns: pods kube-system, k8s-app=kube-dns, port 53" in done.stdout
    )
    assert "-> --probe finds out" in done.stdout
    assert "things were looked at" in done.stdout.splitlines()[-1]


def test_what_is_wrong_is_told_with_a_remedy(plane: ControlPlane) -> None:
    """A namespace that asks for sidecars of a revision that nobody serves."""
    metadata = {"name": "shop", "labels": {"istio.io/rev": "gone"}}
    plane.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        done = doctor(plane, "-f", "json")
        assert done.returncode == 1
        (wrong,) = [finding for finding in findings(done) if finding["verdict"] == "wrong"]
        assert wrong["lookedAt"] == "Namespace shop"
        assert wrong["remedy"] == "install istiod"
    finally:
        unlabelled = {**metadata, "labels": {}}
        plane.api().request(
            "PUT",
            "/api/v1/namespaces/shop",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": unlabelled},
        )


def test_what_a_provider_leaves_in_a_cluster_is_read(plane: ControlPlane) -> None:
    """A shoot of Gardener: its ConfigMap, the tunnel's pods, and what istiod is told to dial."""
    shoot = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shoot-info"}}
    plane.create("/api/v1/namespaces/kube-system/configmaps", shoot)
    root = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    plane.create("/api/v1/namespaces", root)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    plane.create("/api/v1/namespaces/istio-system/serviceaccounts", account, unless_there=True)
    host = {"name": "KUBERNETES_SERVICE_HOST", "value": "api.shoot.example.com"}
    for where, name, labels in (("istio-system", "istiod", {}), ("kube-system", "vpn", {"app": "vpn-shoot"})):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}}
        container = {"name": "c", "image": "i", "env": [host]}
        plane.create(f"/api/v1/namespaces/{where}/pods", {**pod, "spec": {"containers": [container]}})
    done = doctor(plane, "--topic", "Platform", "--topic", "API server", "-f", "json")
    found = {finding["lookedAt"]: finding for finding in findings(done)}
    assert "Gardener, by ConfigMap kube-system/shoot-info" in found["environment"]["found"]
    assert "app=vpn-shoot" in found["callers of webhooks"]["found"]
    dialled = found["KUBERNETES_SERVICE_HOST in the control plane's pods"]
    assert "set apiServer.host to api.shoot.example.com" in dialled["remedy"]


def test_only_the_topics_that_are_asked_for_are_examined(plane: ControlPlane) -> None:
    """What else is wrong in the cluster, or could not be seen, does not count; another topic is an error
    that names those that there are."""
    done = doctor(plane, "--topic", "dns", "--topic", "Network plugin", "-f", "json")
    assert {finding["topic"] for finding in findings(done)} == {"DNS", "Network plugin"}
    done = doctor(plane, "--topic", "Webhooks", "-f", "json", user=NOBODY)
    assert done.returncode == 1
    assert {finding["topic"] for finding in findings(done)} == {"Webhooks"}
    done = doctor(plane, "--topic", "Weather")
    assert done.returncode == 2
    assert (
        "'Weather' is not one of 'versions', 'platform', 'api server', 'dns', 'network plugin'" in done.stderr
    )


@pytest.mark.parametrize("user", [NOBODY, TENANT])
def test_who_may_see_nothing_is_told_what_it_takes(plane: ControlPlane, user: str) -> None:
    done = doctor(plane, "-f", "json", user=user)
    assert done.returncode == 1
    hidden = [finding["found"] for finding in findings(done) if finding["verdict"] == "not seen"]
    assert "not seen: needs list on daemonsets.apps" in hidden
    assert "not seen: needs list on namespaces" in hidden or any(
        "mutatingwebhook" in sentence for sentence in hidden
    )
    assert "not seen: needs list on endpointslices.discovery.k8s.io in default" in hidden
    assert "Traceback" not in done.stderr


def test_a_right_that_is_granted_is_used(plane: ControlPlane) -> None:
    rules = [{"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["list"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules}
    plane.create(f"{RBAC}/clusterroles", {**role, "metadata": {"name": "sees-plugins"}})
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "sees-plugins"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sees-plugins"},
        "subjects": [{"kind": "User", "name": NOBODY, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    plane.create(f"{RBAC}/clusterrolebindings", binding)

    def sees_the_plugin() -> bool:
        return "which enforces NetworkPolicies" in doctor(plane, user=NOBODY).stdout

    plane.wait_until("the right holds", sees_the_plugin, every=0.5)


def test_a_token_that_nobody_knows_is_unusable(plane: ControlPlane, tmp_path: Path) -> None:
    config = json.loads(plane.kubeconfig(ADMIN).read_text())
    config["users"][0]["user"]["token"] = "unknown"
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    done = doctor(plane, kubeconfig=file)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Unauthorized" in done.stderr


def test_a_cluster_that_does_not_answer_is_unusable(plane: ControlPlane, tmp_path: Path) -> None:
    config = json.loads(plane.kubeconfig(ADMIN).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    done = doctor(plane, kubeconfig=file)
    assert done.returncode == 2
    assert "can't be reached" in done.stderr
