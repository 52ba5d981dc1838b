"""The programs of pods and of the outside, run as they are there, on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.server_process import free_port
from tests.mesh.certificates import Authority
from tests.mesh.images import CHECKOUT
from tests.mesh.tokens import Issuer
from tests.waiting import wait_until

NAMES = ["localhost"]

Start = Callable[..., Callable[[], list[dict[str, Any]]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs and waits until their ports answer; gives what they log. All end with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def started(program: str, *arguments: str, ports: list[int]) -> Callable[[], list[dict[str, Any]]]:
        log = tmp_path / f"{program}.log"
        command = [sys.executable, "-m", f"tests.mesh.programs.{program}", *arguments]
        with log.open("wb") as output:
            processes.append(subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=output))
        for port in ports:
            _wait_until_open(port)
        return lambda: [json.loads(line) for line in log.read_text().splitlines()]

    with contextlib.ExitStack() as ending:
        yield started
        for process in processes:
            ending.enter_context(process)
            process.terminate()
    assert [process.returncode for process in processes] == [0] * len(processes)


def test_echo_tells_who_was_asked_for_what(start: Start) -> None:
    port = free_port()
    log = start("echo", "cart", "--http", str(port), ports=[port])

    answer = _asked(http.client.HTTPConnection("127.0.0.1", port), "/status/418?a=b", {"X-Test": "yes"})

    assert answer[0] == 418
    assert (answer[1]["name"], answer[1]["path"]) == ("cart", "/status/418?a=b")
    assert answer[1]["headers"]["x-test"] == "yes"
    assert [line["path"] for line in log()] == ["/status/418?a=b"]


def test_echo_serves_tls_with_the_certificate_that_it_was_given(start: Start, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue(NAMES).written(tmp_path, "server")
    port = free_port()
    start("echo", "api", "--https", str(port), f"--certificate={certificate}", f"--key={key}", ports=[port])

    trusting = ssl.create_default_context(cadata=authority.certificate)
    assert _asked(http.client.HTTPSConnection("localhost", port, context=trusting), "/")[0] == 200

    other = ssl.create_default_context(cadata=Authority().certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        _asked(http.client.HTTPSConnection("localhost", port, context=other), "/")


def test_echo_sends_tcp_back_after_its_name(start: Start) -> None:
    port = free_port()
    start("echo", "database", "--tcp", str(port), ports=[port])

    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"select 1\n")
        received = b""
        while received.count(b"\n") < 2:
            received += connection.recv(100)

    assert received == b"database\nselect 1\n"


def test_documents_serves_its_folder_and_nothing_above_it(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    (folder / ".well-known").mkdir(parents=True)
    key_set = Issuer("testing@example.test").key_set()
    (folder / "jwks.json").write_text(json.dumps(key_set))
    (folder / ".well-known" / "openid-configuration").write_text('{"issuer": "https://localhost"}')
    (tmp_path / "secret.json").write_text("{}")
    authority = Authority()
    certificate, key = authority.issue(NAMES).written(tmp_path, "server")
    port = free_port()
    start(
        "documents",
        str(folder),
        f"--port={port}",
        f"--certificate={certificate}",
        f"--key={key}",
        ports=[port],
    )

    def get(path: str) -> tuple[int, Any]:
        context = ssl.create_default_context(cadata=authority.certificate)
        return _asked(http.client.HTTPSConnection("localhost", port, context=context), path)

    assert get("/jwks.json") == (200, key_set)
    assert get("/.well-known/openid-configuration") == (200, {"issuer": "https://localhost"})
    assert get("/other.json")[0] == 404
    assert get("/../secret.json")[0] == 404


def test_authorizer_permits_by_one_header(start: Start) -> None:
    port = free_port()
    log = start("authorizer", f"--port={port}", ports=[port])

    def ask(headers: dict[str, str]) -> int:
        return _asked(http.client.HTTPConnection("127.0.0.1", port), "/orders", headers)[0]

    assert (ask({"x-permit": "yes"}), ask({"x-permit": "no"}), ask({})) == (200, 403, 403)
    assert [line["permitted"] for line in log()] == [True, False, False]


def test_collector_logs_spans_with_their_service(start: Start) -> None:
    port = free_port()
    log = start("collector", f"--port={port}", ports=[port])

    def post(path: str, body: bytes) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("POST", path, body)
            return connection.getresponse().status

    assert post("/v1/traces", _export("cart.shop", ["GET /", "POST /orders"])) == 200
    zipkin = [{"name": "router", "localEndpoint": {"serviceName": "ingress"}}]
    assert post("/api/v2/spans", json.dumps(zipkin).encode()) == 202
    assert post("/v1/metrics", b"") == 404

    told = [(line["service"], line["span"], line.get("url")) for line in log()]
    assert told == [
        ("cart.shop", "GET /", "http://GET /"),
        ("cart.shop", "POST /orders", "http://POST /orders"),
        ("ingress", "router", None),
    ]


def _export(service: str, names: list[str]) -> bytes:
    """An ExportTraceServiceRequest with fields around those that are read, as real ones have them."""

    def field(number: int, content: bytes) -> bytes:
        assert len(content) < 0x4000
        length = bytes([len(content) & 0x7F | 0x80, len(content) >> 7])
        return bytes([number << 3 | 2]) + length + content

    def attribute_of(key: bytes, value: str) -> bytes:
        return field(1, key) + field(2, field(1, value.encode()))

    spans = b"".join(
        field(
            2,
            field(1, bytes(16))
            + field(5, name.encode())
            + b"\x30\x02"
            + b"\x39"
            + bytes(8)
            + field(9, attribute_of(b"http.url", f"http://{name}")),
        )
        for name in names
    )
    attribute = attribute_of(b"service.name", service)
    resource = field(1, field(1, field(1, b"node") + field(2, field(1, b"n1"))) + field(1, attribute))
    return field(1, resource + field(2, field(1, b"scope") + spans) + field(3, b"https://schema"))


def _asked(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection.timeout = 10
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        content = response.read()
    return response.status, json.loads(content) if content else None


def _wait_until_open(port: int) -> None:
    def is_open() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(f"something listens on port {port}", is_open, 30.0)
