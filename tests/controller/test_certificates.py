"""The controller keeps the webhook's certificates while it leads."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.certs.webhook_cluster import KINDS, REGISTRATION, WebhookCluster, configured
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess, end_lease
from tests.controller.test_on_a_cluster import Shop

from istio_netpol.cli.main import program

SETTINGS = "apiVersion: istio-netpol.io/v1\nkind: Settings\n"


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Iterator[WebhookCluster]:
    with configured(control_plane, namespace) as cluster:
        yield cluster


def controller(cluster: WebhookCluster, folder: Path, content: str = SETTINGS) -> ControllerProcess:
    settings = folder / "config.yaml"
    settings.write_text(content)
    place = cluster.place
    options = ("--certificate-secret", place.secret, "--webhook-service", place.service)
    options += ("--webhook-configuration", place.configuration)
    kubeconfig = cluster.control_plane.kubeconfig()
    return ControllerProcess(kubeconfig, cluster.namespace, settings, *options)


def empty_bundles(manifest: dict[str, Any]) -> None:
    for webhook in manifest["webhooks"]:
        webhook["clientConfig"].pop("caBundle", None)


def test_the_leader_keeps_certificates_and_its_successor_goes_on(
    cluster: WebhookCluster, tmp_path: Path
) -> None:
    """Made at the start; a caBundle that GitOps emptied is back within a look; and when the leader is
    killed, the next one trusts the same CA and mends what was deleted meanwhile."""
    path = f"{REGISTRATION}/{KINDS[0]}/{cluster.namespace}"
    plane = cluster.control_plane
    with controller(cluster, tmp_path) as first:
        first.wait_for("leading")
        plane.wait_until("every caBundle is there", lambda: all(cluster.bundles()))
        first.wait_for("certificates written")
        plane.wait_until("the Secret is there", lambda: "certificate" in names(cluster))
        cluster.assert_serves()
        trusted = set(cluster.bundles())
        cluster.put(path, empty_bundles)
        plane.wait_until("the caBundle is back", lambda: set(cluster.bundles()) == trusted)
        with controller(cluster, tmp_path) as second:
            second.wait_for("serving")
            first.end(signal.SIGKILL)
            end_lease(plane, cluster.namespace)
            cluster.delete_secret("certificate")
            second.wait_for("leading")
            plane.wait_until("the Secret is back", lambda: "certificate" in names(cluster))
            cluster.assert_serves()
            assert set(cluster.bundles()) == trusted


def test_a_slow_write_of_policies_delays_no_certificate(cluster: WebhookCluster, tmp_path: Path) -> None:
    """While policies are written one a second, a caBundle that was emptied is back long before the last."""
    plane = cluster.control_plane
    shop = Shop(plane)
    for number in range(20):
        shop.deploy(f"cart-{number}")
    with controller(cluster, tmp_path, SETTINGS + "controller: {writesPerSecond: 1}\n"):
        plane.wait_until("every caBundle is there", lambda: all(cluster.bundles()))
        shop.deny_all()
        plane.wait_until("writing has begun", lambda: len(shop.policies()) > 0)
        for kind in KINDS:
            cluster.put(f"{REGISTRATION}/{kind}/{cluster.namespace}", empty_bundles)
        plane.wait_until("every caBundle is back", lambda: all(cluster.bundles()))
        assert 0 < len(shop.policies()) < 2 * 20


def names(cluster: WebhookCluster) -> set[str]:
    answer = cluster.control_plane.api().request("GET", f"/api/v1/namespaces/{cluster.namespace}/secrets")
    return {item["metadata"]["name"] for item in answer.object["items"]}


def test_names_are_given_together() -> None:
    """A Secret without a Service would be a certificate for nobody."""
    result = CliRunner().invoke(program, ["controller", "--certificate-secret", "certificate"])
    assert result.exit_code == 2
    assert "Give --certificate-secret and --webhook-service with --webhook-configuration" in result.stderr
