"""A folder, applied in every order."""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.kube.manifests import DENY_ALL, deployment, service
from tests.live.live_cluster import Live
from tests.live.reader import GENERATED

LABELS = {"istio-injection": "enabled", "istio-netpol.io/mode": "augment"}
NEEDED = sorted(["dns", "proxy-to-istiod", "workload-to-workload"] * 2)


def test_a_folder_ends_in_the_same_policies_in_any_order(live: Live) -> None:
    """Whether its deny-all comes first, last or in between, and the called Service before its caller or
    after it: by what the webhook writes at once, and the controller afterwards."""
    plane, namespaces = live.plane, []
    for order in itertools.permutations(range(4)):
        namespace = plane.namespace(LABELS)
        folder = [
            DENY_ALL,
            deployment("web", namespace, calls="api:80"),
            deployment("api", namespace),
            service("api", namespace),
        ]
        done = plane.kubectl().apply(*(folder[place] for place in order), options=("--namespace", namespace))
        assert done.code == 0, done.stderr
        namespaces.append(namespace)

    def generated(namespace: str) -> list[dict[str, Any]]:
        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies?{GENERATED}"
        return list(plane.api().request("GET", path).object["items"])

    def kinds(namespace: str) -> list[str]:
        return sorted(policy["metadata"]["labels"]["istio-netpol.io/flow"] for policy in generated(namespace))

    plane.wait_until("all are complete", lambda: all(kinds(namespace) == NEEDED for namespace in namespaces))
    ends = {
        json.dumps(
            [(policy["metadata"]["name"], policy["spec"]) for policy in generated(name)], sort_keys=True
        )
        for name in namespaces
    }
    assert len(ends) == 1
