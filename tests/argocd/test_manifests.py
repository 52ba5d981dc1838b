"""What can be said of `argocd/` without a cluster: it allows no more than it needs, everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.argocd.repository import ROOT
from tests.bundle.overlays import OVERLAYS, built_variant, filled_tree, kustomize_build, variants
from tests.chart.rendering import CHART, of_kind, try_to_render
from tests.cluster.fixtures import require

PROJECTS = ROOT / "argocd" / "objects" / "projects"
VALUES = ROOT / "argocd" / "webhook"
CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "ValidatingWebhookConfiguration",
}


def values_of(environment: str) -> Any:
    """The values that the chart gets there, and on EKS Auto Mode the address that is the user's to set."""
    merged: dict[str, Any] = yaml.safe_load((CHART / "platforms" / f"{environment}.yaml").read_text())
    if environment == "eks-auto":
        merged["networkPolicies"]["dns"]["cidrs"] = ["172.20.0.10/32"]
    return {
        **merged,
        "doctor": {"run": "0a1b2c3d"},
        **(yaml.safe_load((VALUES / "values.yaml").read_text()) or {}),
    }


def rendered(environment: str) -> list[Any]:
    """The chart as that environment gets it."""
    require("helm")
    done = try_to_render(values_of(environment))
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def group_of(manifest: Any) -> str:
    return str(manifest["apiVersion"]).rpartition("/")[0]


def test_the_project_allows_the_kinds_that_there_are_and_no_others(tmp_path: Path) -> None:
    """A mistake in the repository can't bring anything but what the baseline and the chart are made of."""
    tree = filled_tree(tmp_path)
    manifests = [manifest for name in OVERLAYS for manifest in rendered(name)]
    for name in variants():
        manifests += yaml.safe_load_all(built_variant(tree, name).manifests)
    kinds = {(group_of(manifest), str(manifest["kind"])) for manifest in manifests}
    spec = yaml.safe_load((PROJECTS / "project.yaml").read_text())["spec"]
    allowed = {
        where: {(kind["group"], kind["kind"]) for kind in spec[f"{where}ResourceWhitelist"]}
        for where in ("cluster", "namespace")
    }
    assert allowed["cluster"] == {kind for kind in kinds if kind[1] in CLUSTER_WIDE}
    assert allowed["namespace"] == {kind for kind in kinds if kind[1] not in CLUSTER_WIDE}
    namespaces = {
        manifest["metadata"]["namespace"] for manifest in manifests if "namespace" in manifest["metadata"]
    }
    assert {destination["namespace"] for destination in spec["destinations"]} == namespaces


@pytest.mark.parametrize("environment", [name for name in OVERLAYS if name != "kyma-btp"])
def test_the_webhook_reaches_dns_where_the_baseline_says_it_is(environment: str, tmp_path: Path) -> None:
    """The chart's own policies and the overlay agree on the pods and addresses of cluster DNS. The address of
    a single cluster's DNS Service is for its owner to set in both."""
    require("kustomize")
    built = kustomize_build(filled_tree(tmp_path) / "overlays" / environment)
    (baseline,) = (
        document
        for document in yaml.safe_load_all(built.stdout)
        if document["metadata"]["name"] == "istiod-to-dns" and document["kind"] == "NetworkPolicy"
    )
    own = {"ipBlock": {"cidr": OF_ONE_CLUSTER}}
    wanted = {(str(peer), port) for peer, port in _destinations(baseline) if peer != own}
    for policy in of_kind(rendered(environment), "NetworkPolicy"):
        assert wanted <= {(str(peer), port) for peer, port in _destinations(policy)}, policy["metadata"][
            "name"
        ]


OF_ONE_CLUSTER = "203.0.113.53/32"
"""The address of the DNS Service, as `filled_tree` sets it."""


def _destinations(policy: Any) -> list[tuple[Any, tuple[str, int]]]:
    return [
        (peer, (port["protocol"], port["port"]))
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", [])
        for port in rule["ports"]
    ]
