"""What is too large is refused with an answer, and who has too many connections loses the idle ones."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest
from tests.serving.cluster import Cluster, Manifest
from tests.serving.process import READY, WebhookProcess, read_reply
from tests.serving.reviews import review
from tests.waiting import wait_until

MEBIBYTE = 1024 * 1024
FEW = 64


@pytest.fixture(scope="module")
def small(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookProcess]:
    """A webhook that allows few connections, and few bytes."""
    settings = tmp_path_factory.mktemp("settings") / "settings.yaml"
    settings.write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\nadmission:\n"
        f"  maxConnections: {FEW}\n  maxConnectionsPerClient: {FEW}\n  requestSeconds: 60\n"
        f"  maxRequestBytes: {MEBIBYTE}\n  maxBufferedBytes: {4 * MEBIBYTE}\n"
    )
    with WebhookProcess(cluster.folder, "--config", str(settings)) as webhook:
        webhook.wait_for(READY)
        yield webhook


def connect(webhook: WebhookProcess, source: str) -> ssl.SSLSocket:
    """A TLS connection from another loopback address."""
    address = (webhook.url.hostname or "", webhook.url.port or 0)
    plain = socket.create_connection(address, 60, (source, 0))
    return webhook.context.wrap_socket(plain, server_hostname=address[0])


@pytest.mark.parametrize("size", [MEBIBYTE + 1, 20 * MEBIBYTE])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
def test_who_sends_all_of_a_large_body_sees_its_413(
    small: WebhookProcess, size: int, is_chunked: bool
) -> None:
    """Even a client that reads nothing before it has sent everything."""
    head = b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with small.open_socket() as stream:
        if is_chunked:
            stream.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
        else:
            stream.sendall(head + b"Content-Length: %d\r\n\r\n" % size)
        stream.sendall(b" " * size)
        response = HTTPResponse(stream)
        response.begin()
        assert response.status == 413
        assert b"admission.maxRequestBytes" in response.read()
        assert response.getheader("connection") == "close"


def test_the_oldest_idle_connection_of_the_largest_client_yields(
    small: WebhookProcess, httpbin: Manifest
) -> None:
    """When all connections are taken, the client with the most loses one for each that comes. Others keep
    theirs, and the one on which reviews are answered is the last to go."""
    reviewed = small.connect()
    reviewed.request("POST", "/validate", review(httpbin), {"Content-Type": "application/json"})
    assert read_reply(reviewed).status == 200
    kept = reviewed.sock
    with contextlib.ExitStack() as opened:
        opened.callback(reviewed.close)
        few = [opened.enter_context(connect(small, "127.0.2.1")) for _ in range(3)]
        many = [opened.enter_context(connect(small, "127.0.2.2")) for _ in range(FEW + 10)]
        wait_until("ten of many are closed", lambda: not any(map(_is_open, many[:10])))
        assert [_is_open(connection) for connection in few] == [True] * 3
        assert _is_open(many[-1])
        reviewed.request("GET", "/healthz")
        assert read_reply(reviewed).status == 200
        assert reviewed.sock is kept
        assert 'connections_refused_total{reason="total-limit"} 0.0' not in small.metrics()


def test_unfinished_bodies_are_bounded(small: WebhookProcess, httpbin: Manifest) -> None:
    """The largest unfinished request of who has the most is dropped; a small one goes through."""
    head = b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    with contextlib.ExitStack() as opened:
        for _ in range(8):
            connection = opened.enter_context(connect(small, "127.0.2.3"))
            with contextlib.suppress(OSError):
                connection.sendall(head % MEBIBYTE + b" " * (MEBIBYTE - 1))
        assert small.review("validate", review(httpbin))["allowed"] is False
        wait_until("four or more are dropped", lambda: _dropped(small) >= 4)


def _dropped(webhook: WebhookProcess) -> float:
    page = webhook.metrics()
    return float(page.partition('connections_refused_total{reason="memory"} ')[2].split()[0])


def _is_open(connection: ssl.SSLSocket) -> bool:
    connection.settimeout(0.05)
    try:
        return bool(connection.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False
