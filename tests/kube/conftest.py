"""An API server that asks a webhook, which follows that same API server."""

from __future__ import annotations

import base64
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.serving.cluster import manifests
from tests.serving.process import READY, WebhookProcess

from istio_netpol.model.own_names import MODE_LABEL

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
CONFIGURATIONS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
SCENARIOS = Path(__file__).parents[1] / "scenarios"
NAME = "istio-netpol-test"
JUDGED = (
    ("", "v1", "pods"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "replicasets"),
    ("networking.k8s.io", "v1", "networkpolicies"),
)


@pytest.fixture(scope="module")
def settings_file() -> Path | None:
    """What the webhook is started with; a module that needs settings has a fixture of this name."""
    return None


@pytest.fixture(scope="module")
def webhook(control_plane: ControlPlane, settings_file: Path | None) -> Iterator[WebhookProcess]:
    """The webhook, registered for namespaces with a mode, and a mesh's control plane."""
    kubectl = control_plane.kubectl()
    applied = kubectl.apply(*native_control_plane())
    assert applied.code == 0, applied.stderr
    environment = {"KUBECONFIG": str(control_plane.kubeconfig())}
    options = ("--config", str(settings_file)) if settings_file else ()
    with WebhookProcess("cluster", *options, environment=environment) as webhook:
        webhook.wait_for(READY)
        with registered(control_plane, webhook):
            yield webhook


@contextlib.contextmanager
def registered(control_plane: ControlPlane, webhook: WebhookProcess) -> Iterator[None]:
    """Has the API server ask the webhook about namespaces with a mode, until the block ends: it takes
    configurations up, and lays them down, a moment later."""
    services = f"/api/v1/namespaces/{control_plane.namespace({MODE_LABEL: 'warn'})}/services?dryRun=All"
    tried = {"metadata": {"generateName": "try-"}, "spec": {"ports": [{"port": 80}]}}

    def asked() -> set[str]:
        before = _reviews(webhook)
        control_plane.create(services, tried)
        return {path for path, count in _reviews(webhook).items() if count != before.get(path)}

    for kind in CONFIGURATIONS:
        control_plane.create(f"{REGISTRATION}/{kind}", _configuration(kind, webhook))
    try:
        control_plane.wait_until("the webhook is asked", lambda: asked() == {"mutate", "validate"})
        yield
    finally:
        for kind in CONFIGURATIONS:
            control_plane.api().request("DELETE", f"{REGISTRATION}/{kind}/{NAME}")
        control_plane.wait_until("the webhook is not asked any more", lambda: not asked())


def _reviews(webhook: WebhookProcess) -> dict[str, float]:
    """How many reviews it has answered, by path."""
    counts: Counter[str] = Counter()
    for path, count in re.findall(
        r'^istio_netpol_reviews_total\{.*webhook="(\w+)".*\} (\S+)$', webhook.metrics(), re.MULTILINE
    ):
        counts[path] += float(count)
    return counts


def native_control_plane() -> list[dict[str, Any]]:
    """istiod, cluster DNS and their namespaces, without Istio's own kinds."""
    native = {"Namespace", "Deployment", "Service", "ConfigMap", "ServiceAccount"}
    found = [manifest for manifest in manifests([SCENARIOS / "_control_plane"]) if manifest["kind"] in native]
    return sorted(found, key=lambda manifest: manifest["kind"] != "Namespace")


def _configuration(kind: str, webhook: WebhookProcess) -> dict[str, Any]:
    path = "mutate" if kind.startswith("mutating") else "validate"
    rules = [
        {
            "apiGroups": [group],
            "apiVersions": [version],
            "resources": [resource],
            "operations": ["CREATE", "UPDATE", "DELETE"],
        }
        for group, version, resource in JUDGED
    ]
    bundle = base64.b64encode(webhook.ca.read_bytes()).decode()
    hook = {
        "name": f"{path}.istio-netpol.io",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "NoneOnDryRun",
        "failurePolicy": "Fail",
        "timeoutSeconds": 30,
        "clientConfig": {"url": f"{webhook.url.geturl().rstrip('/')}/{path}", "caBundle": bundle},
        "namespaceSelector": {"matchExpressions": [{"key": MODE_LABEL, "operator": "Exists"}]},
        "rules": rules,
    }
    name = "MutatingWebhookConfiguration" if path == "mutate" else "ValidatingWebhookConfiguration"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": name,
        "metadata": {"name": NAME},
        "webhooks": [hook],
    }
