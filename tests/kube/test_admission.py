"""`kubectl apply` against an API server that asks the webhook."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import TENANT
from tests.kube.following import connection, following
from tests.kube.manifests import DENY_ALL, deployment, service
from tests.serving.pasting import pasted
from tests.serving.reviews import review

from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.kube.policy_store import ClusterStore, LivePolicies
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.own_names import MANAGED_BY, MODE_LABEL, OWNER
from istio_netpol.model.settings import Settings
from istio_netpol.server.reviewer import Reviewer

pytestmark = pytest.mark.usefixtures("webhook")

KNOWN_BY = {
    "reject": "denied the request",
    "augment": "would add NetworkPolicy",
    "warn": "Remedy: istio-netpol",
}
"""What kubectl prints of a Deployment in a namespace under deny-all, by mode."""


def denied_namespace(plane: ControlPlane, mode: str) -> str:
    """A namespace of that mode, with sidecars, under deny-all, of which the webhook has heard."""
    name = plane.namespace({MODE_LABEL: mode, "istio-injection": "enabled"})
    policies = f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies"
    plane.create(policies, DENY_ALL)
    numbers = itertools.count()

    def is_known() -> bool:
        tried = deployment(f"try-{next(numbers)}", name)
        told = plane.kubectl().apply(tried, options=("--dry-run=server",)).stderr
        return KNOWN_BY[mode] in told

    plane.wait_until("the webhook has heard of the deny-all", is_known)
    return name


def policies_of(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    """The generated policies of a namespace: what each says, by name."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    items = plane.api().request("GET", f"{path}?labelSelector={MANAGED_BY}%3D{OWNER}").object["items"]
    return {item["metadata"]["name"]: item["spec"] for item in items}


def is_there(plane: ControlPlane, name: str, namespace: str) -> bool:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    return plane.api().request("GET", path).status == 200


def test_apply_is_refused_with_what_to_apply(control_plane: ControlPlane, tmp_path: Path) -> None:
    """kubectl prints the missing connections and YAML; once that is applied, the object goes through."""
    namespace = denied_namespace(control_plane, "reject")
    kubectl = control_plane.kubectl()
    refused = kubectl.apply(deployment("web", namespace))
    assert refused.code == 1
    assert "denied the request" in refused.stderr
    assert f"Deployment {namespace}/web" in refused.stderr
    assert not is_there(control_plane, "web", namespace)
    assert kubectl.apply(*pasted(refused.stderr, tmp_path)).code == 0
    admitted = kubectl.apply(deployment("web", namespace))
    assert admitted.code == 0, admitted.stderr


def test_augment_stores_the_policies_before_the_object(control_plane: ControlPlane) -> None:
    """What a Deployment needs is open by the time it is there, and kubectl prints what was added. A tenant
    needs no rights of its own for that."""
    namespace = denied_namespace(control_plane, "augment")
    applied = control_plane.kubectl(TENANT).apply(deployment("web", namespace))
    assert applied.code == 0, applied.stderr
    generated = policies_of(control_plane, namespace)
    assert generated
    assert all(name in applied.stderr for name in generated)
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    made = [
        item["metadata"]["creationTimestamp"]
        for item in control_plane.api().request("GET", path).object["items"]
        if item["metadata"]["name"] in generated
    ]
    stored = (
        control_plane.api().request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web").object
    )
    assert max(made) <= stored["metadata"]["creationTimestamp"]


def test_a_dry_run_writes_nothing(control_plane: ControlPlane) -> None:
    """It says which policies would be written."""
    namespace = denied_namespace(control_plane, "augment")
    tried = control_plane.kubectl().apply(deployment("web", namespace), options=("--dry-run=server",))
    assert tried.code == 0, tried.stderr
    assert "NetworkPolicy" in tried.stderr
    assert policies_of(control_plane, namespace) == {}


def test_a_folder_ends_in_the_same_policies_in_any_order(control_plane: ControlPlane) -> None:
    """Whether the server comes before its client or after, and the Service last or first."""
    found = set()
    kubectl = control_plane.kubectl()
    for order in itertools.permutations(range(3)):
        namespace = denied_namespace(control_plane, "augment")
        folder = [
            deployment("web", namespace, calls="api:80"),
            deployment("api", namespace),
            service("api", namespace),
        ]
        for number in order:
            applied = kubectl.apply(folder[number])
            assert applied.code == 0, applied.stderr
        specs = json.dumps(policies_of(control_plane, namespace), sort_keys=True)
        found.add(specs.replace(namespace, "NAMESPACE"))
    assert len(found) == 1


def test_what_was_written_counts_before_the_cluster_is_read_again(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The API server's answer to the write is the stored object, and the next review goes by it."""
    namespace = denied_namespace(control_plane, "augment")
    found = connection(control_plane, tmp_path)
    with following(found) as known:
        table = FlowTable.of(known.cluster.state().snapshot, Settings())
    reviewer = Reviewer(ClusterStore(found), Offline())
    reviewer.take(table)
    body = review(deployment("web", namespace))
    written = reviewer.review(body, mutating=True).stored
    stored = policies_of(control_plane, namespace)
    assert [encode_policy(result.policy)["spec"] for result in written] == [
        stored[result.policy.name] for result in written
    ]
    reviewer.take(table)
    assert json.loads(reviewer.review(body, mutating=False).body)["response"]["allowed"]


def test_a_cache_that_lags_behind_denies_nothing_that_is_allowed(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """A policy that the API server has and the webhook has not heard of yet counts; its deletion does too."""
    namespace = denied_namespace(control_plane, "reject")
    found = connection(control_plane, tmp_path)
    with following(found) as known:
        table = FlowTable.of(known.cluster.state().snapshot, Settings())
    reviewer = Reviewer(ClusterStore(found), Offline(), live=LivePolicies(found))
    reviewer.take(table)
    body = review(deployment("web", namespace))
    denied = json.loads(reviewer.review(body, mutating=False).body)["response"]
    assert not denied["allowed"]
    kubectl = control_plane.kubectl()
    assert kubectl.apply(*pasted(denied["status"]["message"], tmp_path)).code == 0
    admitted = json.loads(reviewer.review(body, mutating=False).body)["response"]
    assert admitted["allowed"], admitted
    assert kubectl("delete", "networkpolicy", "--all", "--namespace", namespace).code == 0
    control_plane.create(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", DENY_ALL)
    assert not json.loads(reviewer.review(body, mutating=False).body)["response"]["allowed"]
