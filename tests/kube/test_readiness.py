"""What the webhook says of itself when the API server is away."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.control_plane import ControlPlane
from tests.kube.following import wait_until
from tests.serving.process import READY, WebhookProcess


def test_readiness_ends_when_the_cluster_was_not_heard_of_for_too_long(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """/readyz says why, /metrics says for how long, and both are well again when the API server is."""
    settings = tmp_path / "settings.yaml"
    settings.write_text("apiVersion: istio-netpol.io/v1\nkind: Settings\nadmission: {staleAfterSeconds: 1}\n")
    environment = {"KUBECONFIG": str(control_plane.kubeconfig())}
    with WebhookProcess("cluster", "--config", str(settings), environment=environment) as webhook:
        webhook.wait_for(READY)
        assert webhook.request("GET", "/readyz").status == 200
        control_plane.api_server.stop()
        try:
            wait_until(lambda: webhook.request("GET", "/readyz").status == 503)
            wait_until(lambda: b"pods can't be watched" in webhook.request("GET", "/readyz").body)
            age = next(
                line
                for line in webhook.metrics().splitlines()
                if line.startswith("istio_netpol_source_age_seconds ")
            )
            assert float(age.split()[1]) > 1
        finally:
            control_plane.start()
        wait_until(lambda: webhook.request("GET", "/readyz").status == 200)
