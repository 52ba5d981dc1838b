"""The controller keeps the webhook's certificates, as the chart asks it to."""

from __future__ import annotations

import time
from pathlib import Path

from click.testing import CliRunner
from tests.certs.webhook_cluster import KINDS, WebhookCluster
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess

from istio_netpol.cli.main import program

WITHIN = 30.0


def wait_for_secret(control_plane: ControlPlane, path: str) -> None:
    """It is the last thing that is written."""
    ends = time.monotonic() + WITHIN
    while control_plane.api().request("GET", path).status != 200:
        assert time.monotonic() < ends, f"no {path}"
        time.sleep(0.1)


def test_the_leader_makes_certificates_and_has_the_api_server_trust_them(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """After `helm install` nobody has to do anything: both configurations get their caBundle, and what the
    webhook mounts is signed by it."""
    cluster = WebhookCluster(control_plane, namespace)
    for kind in KINDS:
        cluster.configure(kind)
    settings = tmp_path / "config.yaml"
    settings.write_text("apiVersion: istio-netpol.io/v1\nkind: Settings\n")
    place = cluster.place
    options = [f"--certificate-secret={place.secret}", f"--webhook-service={place.service}"]
    options += [f"--webhook-configuration={place.configuration}"]
    try:
        with ControllerProcess(control_plane.kubeconfig(), namespace, settings, *options) as controller:
            controller.wait_for("leading")
            wait_for_secret(control_plane, f"/api/v1/namespaces/{namespace}/secrets/{place.secret}")
            cluster.assert_serves()
            assert controller.end() == 0
    finally:
        cluster.remove_configurations()


def test_a_part_of_the_certificate_options_is_refused() -> None:
    """A chart with a typing mistake would leave the API server without a caBundle, and nobody would know."""
    told = CliRunner().invoke(program, ["controller", "--certificate-secret", "certificate"])
    assert told.exit_code == 2
    assert "add --webhook-service and --webhook-configuration" in told.stderr
