"""What is installed of Istio."""

from __future__ import annotations

import pytest
import yaml
from tests.cluster.fixtures import require
from tests.mesh.istio import EGRESS, INGRESS, manifests


@pytest.fixture(autouse=True)
def istioctl() -> None:
    """Without istioctl nothing is rendered."""
    require("istioctl")


def named(kind: str, rendered: list[dict[str, object]]) -> list[str]:
    """The names of the objects of one kind."""
    return sorted(found["metadata"]["name"] for found in rendered if found["kind"] == kind)  # type: ignore[index]


def test_the_default_is_istiod_with_its_gateway() -> None:
    """What scales by itself or keeps pods from ending would only disturb tests."""
    rendered = manifests()
    assert named("Deployment", rendered) == [INGRESS, "istiod"]
    assert named("MutatingWebhookConfiguration", rendered) == ["istio-sidecar-injector"]
    assert named("HorizontalPodAutoscaler", rendered) == named("PodDisruptionBudget", rendered) == []


def test_a_revision_has_an_injector_of_its_own_and_tags() -> None:
    """Besides the default one, which keeps its names."""
    rendered = manifests(revision="canary", tags=["prod"], gateways=())
    assert named("Deployment", rendered) == ["istiod-canary"]
    injectors = ["istio-revision-tag-prod", "istio-sidecar-injector-canary"]
    assert named("MutatingWebhookConfiguration", rendered) == injectors


def test_mesh_config_and_keys_are_the_callers() -> None:
    """Tests add providers to the mesh config and the CA of an identity provider."""
    rendered = manifests(
        mesh_config={"defaultConfig": {"concurrency": 2}},
        keys_authority="-----BEGIN CERTIFICATE-----",
        gateways=(INGRESS, EGRESS),
    )
    assert named("Deployment", rendered) == [EGRESS, INGRESS, "istiod"]
    (config,) = [
        found for found in rendered if (found["kind"], found["metadata"]["name"]) == ("ConfigMap", "istio")
    ]
    mesh = yaml.safe_load(config["data"]["mesh"])
    assert mesh["defaultConfig"]["concurrency"] == 2
    assert mesh["defaultConfig"]["drainDuration"] == "1s"
    assert "pilot-jwks-extra-cacerts" in named("ConfigMap", rendered)
