"""Kyma's opt-in labels on what an API server stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.kube.manifests import DENY_ALL, deployment, service
from tests.serving.process import WebhookProcess

from istio_netpol.model.own_names import MODE_LABEL

LABEL = "networking.kyma-project.io/to-egressgateway"
GATEWAY = {"app": "istio-egressgateway", "istio": "egressgateway"}


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels are asked for."""
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    path.write_text("apiVersion: istio-netpol.io/v1\nkind: Settings\nadmission: {kymaLabels: true}\n")
    return path


@pytest.fixture
def egress_gateway(control_plane: ControlPlane, webhook: WebhookProcess) -> Iterator[None]:
    """An egress gateway that Kyma's policy closes to all but labelled pods."""
    assert webhook.url
    peer = {"podSelector": {"matchLabels": {LABEL: "allowed"}}, "namespaceSelector": {}}
    kyma = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "kyma-project.io--istio-egressgateway", "namespace": "istio-system"},
        "spec": {
            "podSelector": {"matchLabels": GATEWAY},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [peer]}],
        },
    }
    gateway = deployment("istio-egressgateway", "istio-system")
    gateway["spec"]["selector"]["matchLabels"] = gateway["spec"]["template"]["metadata"]["labels"] = GATEWAY
    gateway["spec"]["replicas"] = 0
    made = [gateway, service("istio-egressgateway", "istio-system"), kyma]
    kubectl = control_plane.kubectl()
    done = kubectl.apply(*made)
    assert done.code == 0, done.stderr
    yield
    for policy in made:
        kubectl("delete", policy["kind"], policy["metadata"]["name"], "--namespace", "istio-system")


@pytest.mark.usefixtures("egress_gateway")
def test_a_deployment_is_stored_with_the_label_that_lets_it_through(control_plane: ControlPlane) -> None:
    """What kubectl applied has the label in its template and no policy opens the gateway's side; one that
    Argo CD tracks is stored as it was written."""
    namespace = control_plane.namespace({MODE_LABEL: "augment"})
    policies = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    control_plane.create(policies, DENY_ALL)
    kubectl = control_plane.kubectl()
    wanted = deployment("web", namespace, calls="istio-system/istio-egressgateway:80")

    def labels_of(name: str) -> dict[str, Any]:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        stored = control_plane.api().request("GET", path).object
        return dict(stored["spec"]["template"]["metadata"]["labels"])

    control_plane.wait_until(
        "the webhook knows the gateway",
        lambda: LABEL in kubectl.apply(wanted, options=("--dry-run=server",)).stderr,
    )
    applied = kubectl.apply(wanted)
    assert applied.code == 0, applied.stderr
    assert f"istio-netpol added label {LABEL}=allowed" in applied.stderr
    assert labels_of("web") == {"app": "web", LABEL: "allowed"}
    tracked = deployment("tracked", namespace, calls="istio-system/istio-egressgateway:80")
    tracked["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/tracked"}
    assert kubectl.apply(tracked).code == 0
    assert labels_of("tracked") == {"app": "tracked"}
