"""istio-netpol itself where a platform has a say: OpenShift in users, AKS in the selectors of webhooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.platforms.clusters import BY_NAME, CLUSTERS

CHOSEN = {"runAsUser", "runAsGroup", "fsGroup"}


def pod_specs(overlay: str, folder: Path) -> list[dict[str, Any]]:
    """Of the webhook and the controller, as the overlay has them."""
    manifests = BY_NAME[overlay].bundle(folder).manifests
    deployments = [
        document
        for document in yaml.safe_load_all(manifests)
        if document and document["kind"] == "Deployment"
    ]
    return [deployment["spec"]["template"]["spec"] for deployment in deployments]


def test_the_platform_assigns_user_and_group(tmp_path: Path) -> None:
    """Nothing is left that the constraint refuses, and what it asks for stays."""
    specs = pod_specs("openshift", tmp_path)
    assert len(specs) == 2
    for spec in specs:
        contexts = [
            spec["securityContext"],
            *(container["securityContext"] for container in spec["containers"]),
        ]
        assert not CHOSEN & {key for context in contexts for key in context}
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(
            container["securityContext"]["allowPrivilegeEscalation"] is False
            for container in spec["containers"]
        )


@pytest.mark.parametrize("name", sorted({cluster.overlay for cluster in CLUSTERS} - {"openshift"}))
def test_elsewhere_they_are_no_root(tmp_path: Path, name: str) -> None:
    """Who assigns nothing gets a user that is not root."""
    assert all(spec["securityContext"]["runAsNonRoot"] is True for spec in pod_specs(name, tmp_path))


ENFORCER = "admissions.enforcer/disabled"


@pytest.mark.parametrize("name", sorted({cluster.overlay for cluster in CLUSTERS}))
def test_only_aks_is_told_to_leave_the_webhooks_alone(tmp_path: Path, name: str) -> None:
    """Its enforcer would write selectors that whoever applies the bundle takes away again."""
    manifests = BY_NAME[name].bundle(tmp_path).manifests
    found = [
        document
        for document in yaml.safe_load_all(manifests)
        if document and "WebhookConfiguration" in document["kind"]
    ]
    told = [manifest["metadata"].get("annotations", {}).get(ENFORCER) for manifest in found]
    assert told == (["true", "true"] if name == "aks" else [None, None])
