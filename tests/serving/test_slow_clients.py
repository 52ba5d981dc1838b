"""Clients that send nothing, send slowly or never hang up don't keep others waiting."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from tests.serving.cluster import Cluster, Manifest
from tests.serving.process import READY, WebhookProcess
from tests.serving.reviews import review

PATIENCE = 30.0
"""Within which everybody else is answered, on the slowest of machines. A server that waits for such a client
takes longer: it gives each a minute."""


def serving(cluster: Cluster, folder: Path, seconds: int) -> WebhookProcess:
    """A webhook that gives each request so much time."""
    settings = folder / "settings.yaml"
    settings.write_text(
        f"apiVersion: istio-netpol.io/v1\nkind: Settings\nadmission: {{requestSeconds: {seconds}}}\n"
    )
    return WebhookProcess(cluster.folder, "--config", str(settings))


@pytest.fixture(scope="module")
def webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookProcess]:
    """It waits for long."""
    with serving(cluster, tmp_path_factory.mktemp("settings"), 60) as webhook:
        webhook.wait_for(READY)
        yield webhook


@contextlib.contextmanager
def dripping(stream: socket.socket, content: bytes) -> Iterator[None]:
    """Sends a byte now and then, in the background."""
    stopped = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            for byte in content:
                stream.sendall(bytes([byte]))
                if stopped.wait(0.2):
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def answered_in_time(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A review is answered while the others dawdle."""
    started = time.monotonic()
    assert webhook.review("validate", review(httpbin))["allowed"] is False
    assert time.monotonic() - started < PATIENCE


def test_clients_that_send_nothing(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """More silent connections than there are threads take none of them."""
    address = (webhook.url.hostname or "", webhook.url.port or 0)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(address, 60))
        answered_in_time(webhook, httpbin)


def test_clients_that_send_slowly(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A byte now and then, as a handshake, as headers or as a body, holds up nobody else."""
    address = (webhook.url.hostname or "", webhook.url.port or 0)
    head = b"POST /validate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            handshake = stack.enter_context(socket.create_connection(address, 60))
            stack.enter_context(dripping(handshake, b"\x16\x03\x01\x02\x00\x01" + b"\x00" * 500))
            headers = stack.enter_context(webhook.open_socket())
            stack.enter_context(dripping(headers, b"POST /validate HTTP/1.1\r\nX: " + b"a" * 500))
            body = stack.enter_context(webhook.open_socket())
            body.sendall(head)
            stack.enter_context(dripping(body, b" " * 500))
        answered_in_time(webhook, httpbin)
    assert not [line for line in webhook.logged if line.get("level") in {"error", "critical"}]


def test_the_time_of_slow_clients_ends(cluster: Cluster, tmp_path: Path) -> None:
    """The server gives up on each, though bytes keep coming; whose request has begun is told."""
    with serving(cluster, tmp_path, 2) as webhook, contextlib.ExitStack() as stack:
        webhook.wait_for(READY)
        address = (webhook.url.hostname or "", webhook.url.port or 0)
        handshake = stack.enter_context(socket.create_connection(address, 60))
        stack.enter_context(dripping(handshake, b"\x16\x03\x01\x02\x00\x01" + b"\x00" * 500))
        assert handshake.recv(1024) == b""
        body = stack.enter_context(webhook.open_socket())
        body.sendall(b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n")
        stack.enter_context(dripping(body, b" " * 499))
        with HTTPResponse(body) as response:
            response.begin()
            assert response.status == 400
            assert b"not complete after 2 seconds" in response.read()
        assert not [line for line in webhook.logged if line.get("level") in {"error", "critical"}]


def test_clients_that_never_hang_up(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A client that leaves its side open after the server has closed its own holds up nobody."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(webhook.open_socket()) for _ in range(20)]
        for stream in streams:
            stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for stream in streams:
            assert stream.recv(1024).startswith(b"HTTP/1.1 200 ")
        answered_in_time(webhook, httpbin)


@pytest.mark.parametrize("sent", [b"", b"POST /validate HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf"])
def test_clients_that_go_away(webhook: WebhookProcess, httpbin: Manifest, sent: bytes) -> None:
    """A client that hangs up in the middle leaves no error in the log."""
    for _ in range(5):
        with webhook.open_socket() as stream:
            stream.sendall(sent)
    answered_in_time(webhook, httpbin)
    assert not [line for line in webhook.logged if line.get("level") in {"error", "critical"}]
