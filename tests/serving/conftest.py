"""A webhook for all tests of a module that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.cluster import Cluster, Manifest, manifests
from tests.serving.process import READY, WebhookProcess

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A control plane, and a namespace under deny-all in which nothing runs yet."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), "reject")
    cluster.apply(*manifests([SCENARIOS / "_control_plane"]))
    cluster.apply(*manifests([SCENARIOS / "sidecar-injection" / "before" / "namespace.yaml"]))
    return cluster


@pytest.fixture(scope="module")
def webhook(cluster: Cluster) -> Iterator[WebhookProcess]:
    """The webhook over that cluster."""
    with WebhookProcess(cluster.folder) as webhook:
        webhook.wait_for(READY)
        yield webhook


@pytest.fixture(scope="session")
def httpbin() -> Manifest:
    """A Deployment that needs a sidecar's flows in a namespace that denies them."""
    found = manifests([SCENARIOS / "sidecar-injection" / "before" / "httpbin.yaml"])
    return next(manifest for manifest in found if manifest["kind"] == "Deployment")
