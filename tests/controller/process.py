"""`istio-netpol controller` as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.cluster.control_plane import ControlPlane

SOURCE_ROOT = Path(__file__).parents[2] / "webhook"
WITHIN = 120.0
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/istio-netpol"


def end_lease(plane: ControlPlane, namespace: str) -> None:
    """Deletes the lease of a leader that was killed: it would run out by itself in 15 seconds."""
    answer = plane.api().request("DELETE", LEASE.format(namespace))
    assert answer.status == 200, answer.object


class ControllerProcess:
    """Runs against a kubeconfig's cluster; ends with the block."""

    def __init__(
        self, kubeconfig: Path, namespace: str, settings: Path, *options: str, offline: bool = True
    ) -> None:
        command = [sys.executable, "-m", "istio_netpol", "controller", "--namespace", namespace]
        command += ["--metrics-listen", "127.0.0.1:0", "--config", str(settings), *options]
        command += ["--offline"] if offline else []
        self.logged: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "KUBECONFIG": str(kubeconfig)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        code = self._process.wait(90)
        self._reader.join(30)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return code

    def send(self, what: signal.Signals) -> None:
        """Sends the process a signal, and does not wait."""
        self._process.send_signal(what)

    def wait_for(self, event: str) -> dict[str, Any]:
        """The first log line with that event."""
        ends = time.monotonic() + WITHIN
        while True:
            is_alive = self._reader.is_alive()
            for line in list(self.logged):
                if line.get("event") == event:
                    return line
            assert time.monotonic() < ends, f"no {event!r} in {self.logged}"
            assert is_alive, f"ended without {event!r}: {self.logged}"
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of what it serves."""
        url = urlsplit(self.wait_for("serving")["url"])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                told: Mapping[str, Any] = json.loads(line)
            except ValueError:
                told = {"event": line}
            self.logged.append(dict(told))
