"""`istio-netpol serve` as a process of its own, with a client that trusts its certificate."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

SOURCE_ROOT = Path(__file__).parents[2] / "webhook"
STARTS_WITHIN = 90.0
READY = "the source was read"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; `json` of a body that is none fails the caller."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebhookProcess:
    """Starts on a free port of loopback; as a context manager it ends with the block."""

    def __init__(
        self,
        source: Path | str,
        *options: str,
        certificate: Sequence[str] = ("--self-signed",),
        ca: Path | None = None,
        offline: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        where = f"dir:{source}" if isinstance(source, Path) else source
        command = [sys.executable, "-m", "istio_netpol", "serve", "--source", where, *certificate]
        command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", *options]
        command += ["--offline"] if offline else []
        self.path_of: Callable[[str], str] = "/{}".format
        """Where reviews are asked for, if not under the plain path."""
        self.logged: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE_ROOT), **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = urlsplit(self.wait_for("listening")["url"])
        self._metrics_url = urlsplit(self.wait_for("serving metrics")["url"])
        self.ca = ca or Path(self.wait_for("wrote a self-signed certificate")["ca"])
        self.context = ssl.create_default_context(cafile=self.ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process, as Kubernetes does if nothing else is said; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(90)
        self._reader.join(30)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process and returns at once."""
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """The process id of the parent."""
        return self._process.pid

    @property
    def worker(self) -> int:
        """The process id of the worker, which serves what its parent accepts."""
        pid = self._process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    @property
    def mark(self) -> int:
        """How much was logged by now, to wait for what comes after."""
        return len(self.logged)

    def wait_for(self, event: str, after: int = 0, seconds: float = STARTS_WITHIN) -> dict[str, Any]:
        """The first log line with that event; fails when it does not come, or the process ends."""
        ends = time.monotonic() + seconds
        with self._news:
            while True:
                for line in self.logged[after:]:
                    if line.get("event") == event:
                        return line
                left = ends - time.monotonic()
                assert left > 0, f"no log line {event!r}, but {self.logged[after:]}"
                is_alive = self._reader.is_alive()
                assert is_alive, f"the process ended without {event!r}: {self.logged}"
                self._news.wait(min(left, 0.5))

    def connect(self, timeout: float = 60.0) -> http.client.HTTPSConnection:
        """A new connection, kept alive."""
        return http.client.HTTPSConnection(
            self.url.hostname or "", self.url.port, timeout=timeout, context=self.context
        )

    def open_socket(self, timeout: float = 60.0) -> ssl.SSLSocket:
        """A new TLS connection without a client behind it, for what no client would send."""
        host, port = self.url.hostname or "", self.url.port or 0
        plain = socket.create_connection((host, port), timeout)
        return self.context.wrap_socket(plain, server_hostname=host)

    def request(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self.connect()
        headers = {"Content-Type": content_type} if body is not None and content_type else {}
        try:
            connection.request(method, path, body, headers)
            return read_reply(connection)
        finally:
            connection.close()

    def review(self, webhook: str, review: bytes) -> dict[str, Any]:
        """The response to an AdmissionReview, sent to `validate` or `mutate`."""
        reply = self.request("POST", self.path_of(webhook), review)
        assert reply.status == 200, reply.body
        response = reply.json["response"]
        assert isinstance(response, dict)
        return response

    def metrics(self) -> str:
        """The metrics page."""
        connection = http.client.HTTPConnection(
            self._metrics_url.hostname or "", self._metrics_url.port, timeout=60
        )
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                told = json.loads(line)
            except ValueError:
                told = {"event": line.rstrip()}
            with self._news:
                self.logged.append(told)
                self._news.notify_all()


def read_reply(connection: http.client.HTTPConnection) -> Reply:
    """The answer to the request that was sent on a connection."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, response.read(), headers)
