"""The test cluster itself: what a test may rely on."""

from __future__ import annotations

import base64
import json

import pytest
from tests.cluster.control_plane import NODE_ADDRESS, ControlPlane
from tests.cluster.users import ADMIN, NOBODY, TENANT

POLICIES = "networkpolicies.networking.k8s.io"


def test_a_namespace_is_labelled_with_its_name(control_plane: ControlPlane) -> None:
    """Selectors rely on `kubernetes.io/metadata.name`."""
    name = control_plane.namespace({"istio-injection": "enabled"})
    found = control_plane.kubectl()("get", "namespace", name, "-o", "json").json
    assert found["metadata"]["labels"] == {"istio-injection": "enabled", "kubernetes.io/metadata.name": name}


def test_the_api_server_publishes_its_endpoint(control_plane: ControlPlane) -> None:
    """Policies name the port after DNAT, which the EndpointSlice `kubernetes` tells."""
    api = control_plane.api()
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    control_plane.wait_until("the endpoint is published", lambda: api.request("GET", slices).status == 200)
    found = api.request("GET", slices).object
    assert [endpoint["addresses"] for endpoint in found["endpoints"]] == [[NODE_ADDRESS]]
    assert [port["port"] for port in found["ports"]] == [control_plane.port]


@pytest.mark.parametrize(
    ("user", "own", "other", "secrets"),
    [(ADMIN, "yes", "yes", "yes"), (TENANT, "yes", "no", "no"), (NOBODY, "no", "no", "no")],
)
def test_users_have_the_rights_of_their_names(
    control_plane: ControlPlane, namespace: str, user: str, own: str, other: str, secrets: str
) -> None:
    """What a tenant or a stranger can't do is refused by RBAC, not by luck."""
    ask = control_plane.kubectl(user)
    assert ask("auth", "can-i", "create", POLICIES, "-n", namespace).stdout.strip() == own
    assert ask("auth", "can-i", "create", POLICIES, "-n", "kube-system").stdout.strip() == other
    assert ask("auth", "can-i", "get", "secrets", "-A").stdout.strip() == secrets
    assert ask("auth", "whoami", "-o", "json").json["status"]["userInfo"]["username"] == user


def test_a_refusal_is_what_kubectl_prints(control_plane: ControlPlane, namespace: str) -> None:
    """The runner hands on the code and both outputs, as a person would see them."""
    outcome = control_plane.kubectl(NOBODY)("get", "pods", "-n", namespace)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        'Error from server (Forbidden): pods is forbidden: User "nobody" cannot list resource "pods" in API '
        f'group "" in the namespace "{namespace}"\n'
    )


def test_a_service_account_gets_a_token_that_works(control_plane: ControlPlane, namespace: str) -> None:
    """A webhook under test can run as the ServiceAccount of its chart."""
    token = control_plane.kubectl()("create", "token", "default", "-n", namespace).stdout.strip()
    claims = token.split(".")[1]
    subject = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    kubectl = control_plane.kubectl(NOBODY)
    outcome = kubectl(
        "auth", "whoami", "-o", "json", "--kubeconfig", "/dev/null", *connection(control_plane, token)
    )
    assert outcome.json["status"]["userInfo"]["username"] == subject
    assert subject == f"system:serviceaccount:{namespace}:default"


def connection(plane: ControlPlane, token: str) -> list[str]:
    """Options of kubectl in place of a kubeconfig."""
    return ["--server", plane.url, "--certificate-authority", str(plane.ca), "--token", token]


def test_a_pod_is_accepted(control_plane: ControlPlane, namespace: str) -> None:
    """A tenant's fresh namespace has the service account without which pods are refused."""
    containers = [{"name": "app", "image": "app"}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": {"containers": containers},
    }
    outcome = control_plane.kubectl(TENANT).apply(pod)
    assert (outcome.code, outcome.stdout) == (0, "pod/app created\n"), outcome.stderr


def test_a_resource_version_from_before_compaction_is_gone_after_a_restart(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Watchers get 410 and must list anew; data, address and tokens outlive the restart."""
    api = control_plane.api()
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    old = api.request("GET", maps).object["metadata"]["resourceVersion"]
    for number in range(3):
        control_plane.create(maps, {"metadata": {"name": f"map-{number}"}})
    control_plane.compact()
    control_plane.restart()
    watched = api.request("GET", f"{maps}?watch=1&timeoutSeconds=5&resourceVersion={old}")
    assert 410 in (watched.status, watched.object.get("object", {}).get("code"))
    names = [item["metadata"]["name"] for item in api.request("GET", maps).object["items"]]
    assert names == ["map-0", "map-1", "map-2"]


def test_deployments_become_pods(controller_manager: ControlPlane, namespace: str) -> None:
    """With kube-controller-manager, whose controllers act as their own service accounts."""
    kubectl = controller_manager.kubectl(TENANT)
    assert kubectl("create", "deployment", "web", "--image=web", "-n", namespace).code == 0
    pods = f"/api/v1/namespaces/{namespace}/pods"
    api = controller_manager.api(TENANT)
    controller_manager.wait_until("a pod is there", lambda: bool(api.request("GET", pods).object["items"]))
    (pod,) = api.request("GET", pods).object["items"]
    assert pod["metadata"]["labels"]["app"] == "web"
    assert [owner["kind"] for owner in pod["metadata"]["ownerReferences"]] == ["ReplicaSet"]


def test_a_deleted_namespace_goes(controller_manager: ControlPlane) -> None:
    """With everything in it."""
    name = controller_manager.namespace()
    assert controller_manager.kubectl()("delete", "namespace", name, "--timeout=120s").code == 0
    assert controller_manager.api().request("GET", f"/api/v1/namespaces/{name}").status == 404
