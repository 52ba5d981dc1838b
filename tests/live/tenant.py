"""A namespace under a deny-all, as a tenant has it in the shared cluster, and what is generated in it."""

from __future__ import annotations

from typing import Any

from tests.cluster.clients import Outcome
from tests.cluster.users import TENANT
from tests.kube.manifests import DENY_ALL, deployment
from tests.live.live_cluster import Live
from tests.live.reader import GENERATED
from tests.serving.reviews import review

POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
NEEDED = {"dns", "proxy-to-istiod"}
"""The flow kinds of what a workload with a sidecar needs, and nothing else."""


class Tenant:
    """Mode and sidecars are labels of the namespace; `tenant` may edit in it, and use Istio's kinds."""

    def __init__(self, live: Live, mode: str) -> None:
        self.live = live
        self.plane = live.plane
        labels = {"istio-injection": "enabled"} | ({"istio-netpol.io/mode": mode} if mode else {})
        self.namespace = self.plane.namespace(labels)
        done = self.plane.kubectl().apply(
            DENY_ALL, *_may_use_istio(), options=("--namespace", self.namespace)
        )
        assert done.code == 0, done.stderr
        if mode != "off":
            self.plane.wait_until("the webhook has heard of the deny-all", self._is_known)

    def _is_known(self) -> bool:
        response = self.live.webhook.review("validate", review(deployment("try", self.namespace)))
        return not response["allowed"] or bool(response.get("warnings"))

    def apply(self, *manifests: dict[str, Any]) -> Outcome:
        """`kubectl apply`, by the tenant."""
        return self.plane.kubectl(TENANT).apply(*manifests, options=("--namespace", self.namespace))

    def deploy(self, name: str) -> Outcome:
        """Applies a Deployment that needs cluster DNS and istiod."""
        return self.apply(deployment(name, self.namespace))

    def delete(self, *arguments: str) -> None:
        """`kubectl delete`, by the tenant, which has to work."""
        done = self.plane.kubectl(TENANT)("--namespace", self.namespace, "delete", *arguments)
        assert done.code == 0, done.stderr

    def generated(self) -> dict[str, dict[str, Any]]:
        """The specs of the generated policies, by name."""
        answer = self.plane.api().request("GET", f"{POLICIES.format(self.namespace)}?{GENERATED}")
        return {policy["metadata"]["name"]: policy["spec"] for policy in answer.object["items"]}

    def kinds(self) -> list[str]:
        """Which flows the generated policies are for."""
        answer = self.plane.api().request("GET", f"{POLICIES.format(self.namespace)}?{GENERATED}")
        return sorted(
            policy["metadata"]["labels"]["istio-netpol.io/flow"] for policy in answer.object["items"]
        )

    def wait_for(self, specs: dict[str, dict[str, Any]]) -> None:
        """Waits until exactly these policies are there."""
        self.plane.wait_until("policies are as they were", lambda: self.generated() == specs)


def _may_use_istio() -> list[dict[str, Any]]:
    """What Istio's chart adds to the ClusterRole `edit`."""
    api = "rbac.authorization.k8s.io"
    groups = ["networking.istio.io", "security.istio.io"]
    rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}]
    metadata = {"name": "tenant-uses-istio"}
    subjects = [{"apiGroup": api, "kind": "User", "name": TENANT}]
    role = {"apiGroup": api, "kind": "Role", "name": metadata["name"]}
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": subjects,
        },
    ]
