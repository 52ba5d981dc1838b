"""What `kubectl apply` of a Deployment costs the webhook, with the controllers that make pods of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.kube.manifests import DENY_ALL, deployment
from tests.live.injector import injecting
from tests.serving.process import WebhookProcess

from istio_netpol.model.own_names import MODE_LABEL

pytestmark = pytest.mark.usefixtures("controller_manager", "injection")
REPLICAS = 3
ATTEMPTS = 15
OPEN: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "open"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}


@pytest.fixture(scope="module")
def injection(control_plane: ControlPlane) -> Iterator[None]:
    """Pods are what their template says that they will be: with a proxy."""
    with injecting(control_plane):
        yield


def count(webhook: WebhookProcess, metric: str) -> int:
    """The sum of a counter of the validating webhook."""
    found = re.findall(
        rf'^{metric}_total\{{.*webhook="validate".*\}} (\S+)$', webhook.metrics(), re.MULTILINE
    )
    return int(sum(map(float, found)))


def pods(plane: ControlPlane, namespace: str) -> list[str]:
    items = plane.api().request("GET", f"/api/v1/namespaces/{namespace}/pods").object["items"]
    return [item["metadata"]["name"] for item in items if "deletionTimestamp" not in item["metadata"]]


def opened_namespace(plane: ControlPlane, mode: str) -> str:
    """A namespace of a mode, with sidecars, under deny-all, in which egress is open."""
    name = plane.namespace({MODE_LABEL: mode, "istio-injection": "enabled"})
    for policy in (DENY_ALL, OPEN):
        plane.create(f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies", policy)
    return name


def wait_until_quiet(plane: ControlPlane, webhook: WebhookProcess, namespace: str) -> None:
    """Waits until the webhook has heard of what was stored: it then knows the answer to a question that was
    asked before."""

    def is_known() -> bool:
        before = count(webhook, "istio_netpol_evaluations")
        tried = plane.kubectl().apply(deployment("other", namespace), options=("--dry-run=server",))
        return tried.code == 0 and count(webhook, "istio_netpol_evaluations") == before

    plane.wait_until("the webhook is up to date", is_known)


def applied(plane: ControlPlane, namespace: str) -> None:
    """Applies a Deployment and waits for its pods."""
    wanted = deployment("web", namespace)
    wanted["spec"]["replicas"] = REPLICAS
    done = plane.kubectl().apply(wanted)
    assert done.code == 0, done.stderr
    plane.wait_until("the pods are there", lambda: len(pods(plane, namespace)) == REPLICAS)


def test_a_deployment_and_all_that_follows_cost_two_evaluations(
    control_plane: ControlPlane, webhook: WebhookProcess
) -> None:
    """The ReplicaSet and the pods are reviewed, as the metrics show, and the rules are asked twice: of the
    template, and of what its pods turn out to have, a proxy. Where something else in the cluster changes
    meanwhile they are asked again, so one quiet time will do."""
    costs: list[tuple[int, int]] = []
    while (2 + REPLICAS, 2) not in costs and len(costs) < ATTEMPTS:
        namespace = opened_namespace(control_plane, "reject")
        wait_until_quiet(control_plane, webhook, namespace)
        before = [count(webhook, f"istio_netpol_{counted}") for counted in ("reviews", "evaluations")]
        applied(control_plane, namespace)
        after = [count(webhook, f"istio_netpol_{counted}") for counted in ("reviews", "evaluations")]
        costs.append((after[0] - before[0], after[1] - before[1]))
    assert costs[-1] == (2 + REPLICAS, 2), costs


def test_a_policy_that_is_deleted_in_between_is_written_for_the_next_pod(
    control_plane: ControlPlane, webhook: WebhookProcess
) -> None:
    """Without a controller: the pod that takes a deleted one's place has what the Deployment had."""
    namespace = opened_namespace(control_plane, "augment")
    applied(control_plane, namespace)
    policies = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    assert control_plane.api().request("DELETE", f"{policies}/open").status == 200
    old = set(pods(control_plane, namespace))
    kubectl = control_plane.kubectl()

    def is_written() -> bool:
        for name in pods(control_plane, namespace)[:1]:
            here = ("--namespace", namespace)
            done = kubectl("delete", "pod", name, *here, "--wait=false", "--now", "--ignore-not-found")
            assert done.code == 0, done.stderr
        items = control_plane.api().request("GET", policies).object["items"]
        return any(item["metadata"]["name"].startswith("proxy-to-istiod-web") for item in items)

    control_plane.wait_until("the policy is written", is_written)
    assert set(pods(control_plane, namespace)) != old
