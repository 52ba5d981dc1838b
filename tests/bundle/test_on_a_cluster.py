"""`bundle verify` and `doctor` ask a real API server what it has, and whether it takes a default-deny."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.overlays import kind_with_kyma
from tests.cli.test_schemas import errors as schema_errors
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require, started
from tests.cluster.users import ADMIN, NOBODY
from tests.serving.process import SOURCE_ROOT
from tests.tools.programs import located

POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
GUARD = {"app": "guard"}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
EXPRESSION = (
    "object.metadata.namespace != 'kyma-system' || has(object.spec.podSelector.matchLabels) || "
    "has(object.spec.podSelector.matchExpressions)"
)
"""Like that of SAP BTP, which is not public: no policy of kyma-system may select every pod."""


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kind_with_kyma(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster with a module of Kyma that nobody knows."""
    with started(tmp_path_factory.mktemp("bundle")) as plane:
        for name in ("istio-system", "kyma-system"):
            plane.create(
                "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        ports = [{"containerPort": 8443}]
        template = {
            "metadata": {"labels": GUARD},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": ports}]},
        }
        spec = {"selector": {"matchLabels": GUARD}, "template": template}
        guard = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "guard"}, "spec": spec}
        plane.create("/apis/apps/v1/namespaces/kyma-system/deployments", guard)
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "guard"}}
        listed = [{"port": 443, "targetPort": 8443}]
        plane.create(
            "/api/v1/namespaces/kyma-system/services",
            {**service, "spec": {"selector": GUARD, "ports": listed}},
        )
        webhook = {
            "name": "guards.example.com",
            "clientConfig": {"service": {"namespace": "kyma-system", "name": "guard"}},
            "rules": [
                {
                    "apiGroups": ["example.com"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["guards"],
                }
            ],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "guard"},
            "webhooks": [webhook],
        }
        plane.create(f"{ADMISSION}/validatingwebhookconfigurations", configuration)
        yield plane


@pytest.fixture(scope="module")
def btp(plane: ControlPlane) -> ControlPlane:
    """The same cluster with an admission policy, once that counts."""
    rules = [
        {
            "apiGroups": ["networking.k8s.io"],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["networkpolicies"],
        }
    ]
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": EXPRESSION, "message": "default-deny-all is not allowed here"}],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy"}
    plane.create(
        f"{ADMISSION}/validatingadmissionpolicies",
        {**kind, "metadata": {"name": "kyma-traffic"}, "spec": spec},
    )
    binding = {"policyName": "kyma-traffic", "validationActions": ["Deny"]}
    plane.create(
        f"{ADMISSION}/validatingadmissionpolicybindings",
        {
            **kind,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "kyma-traffic"},
            "spec": binding,
        },
    )
    deadline = time.monotonic() + 240
    while run(plane, "doctor", "--topic", "Admission", "--dry-run-server").returncode != 1:
        assert time.monotonic() < deadline, "the admission policy never counted"
        time.sleep(1)
    return plane


def run(plane: ControlPlane, *arguments: str | Path, user: str = ADMIN) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user of the cluster, which is the current context."""
    require("kustomize")
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE_ROOT),
        "ISTIO_NETPOL_KUSTOMIZE": str(located("kustomize")),
        "KUBECONFIG": str(plane.kubeconfig(user)),
    }
    command = [sys.executable, "-m", "istio_netpol", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def stored(plane: ControlPlane) -> list[dict[str, Any]]:
    return list(plane.api().request("GET", POLICIES).object["items"])


def test_a_live_cluster_is_looked_at_like_a_dump(plane: ControlPlane, overlay: Path) -> None:
    """A webhook of a module that nobody knows fails closed behind the default-deny."""
    done = run(plane, "bundle", "verify", overlay, "--live", "-f", "json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    (error,) = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert error["object"]["name"] == "guard"
    assert "dryRun" not in document
    sides = {side["direction"]: side["state"] for side in document["coverage"]["sides"]}
    assert sides == {"Egress": "notCovered", "Ingress": "notCovered"}


def test_who_may_not_read_the_cluster_proves_nothing(plane: ControlPlane, overlay: Path) -> None:
    """What is not seen is not taken for well: exit code 2, and what is missing."""
    done = run(plane, "bundle", "verify", overlay, "--context", NOBODY, user=NOBODY)
    assert done.returncode == 2
    assert "can't be judged without them" in done.stderr


def test_a_cluster_that_takes_the_policies_says_so_and_stores_none(
    plane: ControlPlane, overlay: Path
) -> None:
    """The whole overlay is tried."""
    done = run(plane, "bundle", "verify", overlay, "--live", "--dry-run-server", "-f", "json")
    assert schema_errors("bundle", done.stdout) == []
    tried = json.loads(done.stdout)["dryRun"]
    assert {attempt["outcome"] for attempt in tried} == {"accepted"}
    assert any(attempt["policy"].startswith("kyma-system/") for attempt in tried)
    assert stored(plane) == []
    assert run(plane, "doctor", "--topic", "Admission", "--dry-run-server").returncode == 0
    assert stored(plane) == []


def test_a_default_deny_that_admission_refuses_is_an_error(btp: ControlPlane, overlay: Path) -> None:
    """The sentence names who refuses it, and the overlay that does without."""
    done = run(btp, "bundle", "verify", overlay, "--live", "--dry-run-server")
    assert done.returncode == 1
    (line,) = [printed for printed in done.stdout.splitlines() if "error policy-refused" in printed]
    assert "NetworkPolicy kyma-system/" in line
    assert "ValidatingAdmissionPolicy 'kyma-traffic'" in line
    assert "take the overlay kyma-btp" in line
    assert "default-deny-all is not allowed here" in line
    assert "refused by ValidatingAdmissionPolicy 'kyma-traffic': kyma-system/" in done.stdout
    assert stored(btp) == []


def test_doctor_finds_out_the_same(btp: ControlPlane) -> None:
    """It names the policy without a dry run, and with one says that it refuses."""
    done = run(btp, "doctor", "--topic", "Admission", "-f", "json")
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["lookedAt"], found["verdict"]) == ("ValidatingAdmissionPolicy kyma-traffic", "note")
    assert "--dry-run-server" in found["remedy"]
    done = run(btp, "doctor", "--topic", "Admission", "--dry-run-server", "-f", "json")
    assert done.returncode == 1
    verdicts = {finding["lookedAt"]: finding for finding in json.loads(done.stdout)["findings"]}
    refused = verdicts["default-deny in kyma-system, dry run"]
    assert refused["verdict"] == "wrong"
    assert "ValidatingAdmissionPolicy 'kyma-traffic'" in refused["found"]
    assert "take the overlay kyma-btp" in refused["remedy"]
    assert verdicts["default-deny in istio-system, dry run"]["verdict"] == "ok"


def test_who_may_not_try_is_told_what_it_takes(btp: ControlPlane) -> None:
    """A right that is missing is not seen, which is no pass."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "reads"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}],
    }
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    btp.create(f"{rbac}/clusterroles", role)
    binding = {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"},
        "subjects": [{"kind": "User", "name": NOBODY, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    btp.create(f"{rbac}/clusterrolebindings", {key: binding[key] for key in binding if key != "rules"})
    done = run(btp, "doctor", "--topic", "Admission", "--dry-run-server", "-f", "json", user=NOBODY)
    assert done.returncode == 1
    tried = [finding for finding in json.loads(done.stdout)["findings"] if "dry run" in finding["lookedAt"]]
    assert {attempt["verdict"] for attempt in tried} == {"not seen"}
    assert "needs patch on networkpolicies.networking.k8s.io in kyma-system" in str(tried)
