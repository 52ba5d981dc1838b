"""The image that `make image` builds, run as a cluster would: user 65532, nothing writable, TLS, SIGTERM."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.server_process import free_port
from tests.image.buildah import ROOT, Image, absent, build, remove

from istio_netpol import __version__
from istio_netpol.certs.self_signed import make_self_signed

pytestmark = pytest.mark.xdist_group("image")  # what it starts is started once

STARTS_WITHIN = 60.0


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    reason = absent()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    try:
        yield Image.inspected(build())
    finally:
        remove()


def printed(image: Image, *arguments: str, entrypoint: tuple[str, ...] = ()) -> str:
    """What a program of the image prints."""
    process = image.start(arguments, {}, entrypoint)
    stdout, stderr = process.communicate(timeout=STARTS_WITHIN)
    return stdout + stderr


def test_it_is_the_program(image: Image) -> None:
    """Without arguments the image shows its help; with some it is `istio-netpol`."""
    assert printed(image, "--version").split()[-1] == __version__
    assert "serve" in printed(image, *image.config["Cmd"])


def test_it_runs_as_nobody_in_particular(image: Image) -> None:
    """User and group are 65532, by number, so that `runAsNonRoot` can tell; and nothing can be written."""
    assert image.config["User"] == "65532:65532"
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups()); open('/tmp/x', 'w')"
    output = printed(image, "-c", code, entrypoint=("python3",))
    assert output.startswith("65532 65532 []\n")
    assert "Read-only file system: '/tmp/x'" in output


def test_its_process_is_the_program_itself(image: Image) -> None:
    """No shell stands between a signal and the program."""
    assert image.config["Entrypoint"] == ["python3", "-m", "istio_netpol"]


def test_it_holds_what_the_lock_pins_and_no_tools(image: Image) -> None:
    """Neither compiler nor pip is in it, and each package has the version of requirements.lock."""
    for name in ("gcc", "cc", "g++", "make", "pip", "pip3", "go"):
        assert not [place for place in ("usr/bin", "usr/local/bin") if (image.root / place / name).exists()]
    code = (
        "import importlib.metadata as m\n"
        "print(*sorted(f'{d.name.lower()}=={d.version}' for d in m.distributions()), sep='\\n')"
    )
    installed = set(printed(image, "-c", code, entrypoint=("python3",)).replace("_", "-").split())
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {line.split()[0].replace("_", "-") for line in lock if "==" in line and not line[0].isspace()}
    assert installed == locked | {f"istio-netpol=={__version__}"}


class Webhook:
    """`serve` in the image, on loopback, with a client that trusts its certificate."""

    def __init__(self, image: Image, folder: Path) -> None:
        certificates, source = folder / "certs", folder / "manifests"
        source.mkdir()
        files = make_self_signed(certificates, ("127.0.0.1",))
        for path in certificates.iterdir():
            path.chmod(0o644)
        for place in (folder, certificates, source):
            place.chmod(0o755)
        self.port = free_port()
        self._context = ssl.create_default_context(cafile=files.ca)
        pair = [
            f"--{option}=/certs/{file.name}"
            for option, file in (("cert", files.certificate), ("key", files.key))
        ]
        self.process = image.start(
            ["serve", "--source=dir:/manifests", f"--listen=127.0.0.1:{self.port}", "--offline", *pair],
            {certificates: "/certs", source: "/manifests"},
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def connect(self) -> ssl.SSLSocket:
        """A TLS connection."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return self._context.wrap_socket(plain, server_hostname="127.0.0.1")

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def wait(self) -> None:
        """Returns once it is ready."""
        ends = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < ends:
            assert self.process.poll() is None, "".join(self.log)
            if self._is_ready():
                return
            time.sleep(0.1)
        pytest.fail("not ready:\n" + "".join(self.log))

    def _is_ready(self) -> bool:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self._context)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
            except OSError:
                return False


@pytest.fixture
def webhook(image: Image, tmp_path: Path) -> Iterator[Webhook]:
    started = Webhook(image, tmp_path)
    try:
        started.wait()
        yield started
    finally:
        started.stop()


REVIEW = json.dumps(
    {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "one", "kind": {"kind": "Service", "version": "v1"}, "operation": "CREATE"},
    }
).encode()
HEAD = (
    b"POST /validate HTTP/1.1\r\nHost: webhook\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(REVIEW)
)


def answer(connection: ssl.SSLSocket) -> bytes:
    """Everything until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_it_answers_reviews_over_tls(webhook: Webhook) -> None:
    """As user 65532 on a read-only root, the webhook reads its certificate and answers."""
    with webhook.connect() as connection:
        connection.sendall(HEAD + REVIEW)
        assert b'"allowed":true' in answer(connection)


def test_sigterm_finishes_what_is_in_flight(webhook: Webhook) -> None:
    """A request that is half sent when the pod is told to stop is still answered, and the end is clean."""
    with webhook.connect() as connection:
        connection.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert b"100 Continue" in connection.recv(1024), "the request has not begun"
        connection.sendall(REVIEW[:20])
        webhook.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        connection.sendall(REVIEW[20:])
        assert b'"allowed":true' in answer(connection)
    try:
        assert webhook.process.wait(timeout=90) == 0, "".join(webhook.log)
    except subprocess.TimeoutExpired:
        pytest.fail("it does not end:\n" + "".join(webhook.log))
