"""How the process ends, and how it goes on when a part of it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from http.client import HTTPResponse
from pathlib import Path

import pytest
from tests.serving.cluster import Cluster, Manifest
from tests.serving.process import READY, WebhookProcess
from tests.serving.reviews import review
from tests.waiting import wait_until

from istio_netpol.http.serving import GRACEFUL_SECONDS

HEAD = (
    b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n"
)
"""To which the server answers when it begins with the request."""


def wait_until_closed(address: tuple[str, int]) -> None:
    """Returns once new connections are refused."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            socket.create_connection(address, 5).close()
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("the port is still open")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_stop_finishes_what_is_in_flight(
    tmp_path: Path, cluster: Cluster, httpbin: Manifest, number: signal.Signals
) -> None:
    """A request that has begun when the process is told to stop gets its answer, idle connections don't
    hold the process up, the exit code is 0, and nothing is left in the temporary folder."""
    body = review(httpbin)
    settings = tmp_path / "settings.yaml"
    settings.write_text("apiVersion: istio-netpol.io/v1\nkind: Settings\nadmission: {requestSeconds: 60}\n")
    with (
        WebhookProcess(cluster.folder, "--config", str(settings)) as webhook,
        webhook.open_socket() as stream,
    ):
        webhook.wait_for(READY)
        address = (webhook.url.hostname or "", webhook.url.port or 0)
        with socket.create_connection(address), contextlib.closing(webhook.connect()) as idle:
            idle.request("GET", "/healthz")
            idle.getresponse().read()
            stream.sendall(HEAD % len(body))
            assert b"100 Continue" in stream.recv(1024), "the request has not begun"
            webhook.send(number)
            wait_until_closed(address)
            stream.sendall(body)
            with HTTPResponse(stream) as response:
                response.begin()
                assert response.status == 200
                assert b'"allowed":false' in response.read()
        assert webhook.stop() == 0
    assert not webhook.ca.exists()
    assert not [line for line in webhook.logged if line.get("level") in {"error", "critical"}]


def test_quit_waits_for_nothing(cluster: Cluster, httpbin: Manifest) -> None:
    """SIGQUIT ends the process at once, whatever is open and under way, long before it would be killed."""
    with WebhookProcess(cluster.folder) as webhook, webhook.open_socket() as stream:
        webhook.wait_for(READY)
        assert webhook.review("validate", review(httpbin))["allowed"] is False
        stream.sendall(HEAD % 100)
        assert b"100 Continue" in stream.recv(1024), "the request has not begun"
        began = time.monotonic()
        webhook.stop(signal.SIGQUIT)
        assert time.monotonic() - began < GRACEFUL_SECONDS / 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_worker_comes_back(
    tmp_path: Path, cluster: Cluster, httpbin: Manifest, number: signal.Signals
) -> None:
    """When the worker dies or is told to go, the next one serves with the same certificate, watches the
    folder, and its metrics are where they were."""
    own = Cluster(tmp_path, "reject")
    own.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "empty"}})
    with WebhookProcess(tmp_path) as webhook:
        webhook.wait_for(READY)
        mark, first = webhook.mark, webhook.worker
        os.kill(first, number)
        webhook.wait_for(READY, mark)
        assert webhook.worker != first
        assert webhook.request("GET", "/readyz").json["reasons"] == []
        mark = webhook.mark
        for file in cluster.folder.glob("*.yaml"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        webhook.wait_for(READY, mark)
        wait_until("all files were read", lambda: not webhook.review("validate", review(httpbin))["allowed"])
        assert 'istio_netpol_reviews_total{result="denied"' in webhook.metrics()
        assert webhook.stop() == 0
