"""Probes: what a kubelet asks a container, from the node, and how it tells that the answer was wrong."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tests.mesh.agent.container import Container

KINDS = {"startup": "startupProbe", "readiness": "readinessProbe", "liveness": "livenessProbe"}

UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE
"""As a kubelet, which does not check the certificates of what it probes."""

Failed = str
"""Why a probe failed, in the kubelet's words; empty if it succeeded."""


class Probe:
    """Asks again and again, in a thread of its own, and tells `changed` when the thresholds are reached.

    `failed` hears of each failure. A startup probe ends when it has succeeded.
    """

    def __init__(
        self,
        kind: str,
        container: Mapping[str, Any],
        run: Container,
        address: str,
        changed: Callable[[str, bool], None],
        failed: Callable[[str, Failed], None],
    ) -> None:
        self.kind = kind
        self._spec = container[KINDS[kind]]
        self._container = container
        self._run = run
        self._address = address
        self._changed = changed
        self._failed = failed
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begins after the probe's initial delay."""
        threading.Thread(target=self._follow, name=f"probe {self._run.name}", daemon=True).start()

    def stop(self) -> None:
        """Nothing is told any more."""
        self._stopped.set()

    def _follow(self) -> None:
        succeeded = failed = 0
        delay = self._spec.get("initialDelaySeconds", 0)
        while not self._stopped.wait(delay):
            problem = self._ask()
            if self._stopped.is_set() or self._run.wait(0):
                return
            succeeded, failed = (0, failed + 1) if problem else (succeeded + 1, 0)
            if problem:
                self._failed(self.kind, problem)
            if succeeded == self._spec.get("successThreshold", 1):
                self._changed(self.kind, True)
                if self.kind == "startup":
                    return
            if failed == self._spec.get("failureThreshold", 3):
                self._changed(self.kind, False)
            delay = self._spec.get("periodSeconds", 10)

    def _ask(self) -> Failed:
        timeout = self._spec.get("timeoutSeconds", 1)
        if "exec" in self._spec:
            code, output = self._run.run(self._spec["exec"]["command"], timeout)
            return output.strip() or f"exit code {code}" if code else ""
        if "tcpSocket" in self._spec:
            probe = self._spec["tcpSocket"]
            return dial(probe.get("host") or self._address, self._port(probe["port"]), timeout)
        if "httpGet" in self._spec:
            probe = self._spec["httpGet"]
            return get(probe, probe.get("host") or self._address, self._port(probe["port"]), timeout)
        return f"the node agent has no probe by {', '.join(self._spec)}"

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        return int(next(p["containerPort"] for p in self._container["ports"] if p.get("name") == port))


def dial(host: str, port: int, timeout: float) -> Failed:
    """Whether a connection is accepted."""
    try:
        socket.create_connection((host, port), timeout).close()
    except TimeoutError:
        return f"dial tcp {host}:{port}: i/o timeout"
    except OSError as error:
        return f"dial tcp {host}:{port}: connect: {_in_words(error)}"
    return ""


def get(probe: Mapping[str, Any], host: str, port: int, timeout: float) -> Failed:
    """Whether an HTTP server answers with a status below 400."""
    scheme, path = probe.get("scheme", "HTTP").lower(), probe.get("path", "/")
    url = f'Get "{scheme}://{host}:{port}/{path.removeprefix("/")}"'
    headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in probe.get("httpHeaders", ())}
    if scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout, context=UNVERIFIED
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", f"/{path.removeprefix('/')}", headers=headers)
        status = connection.getresponse().status
    except TimeoutError:
        return f"{url}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    except ConnectionResetError:
        return f"{url}: read tcp {host}:{port}: read: connection reset by peer"
    except (http.client.HTTPException, EOFError):
        return f"{url}: EOF"
    except OSError as error:
        return f"{url}: dial tcp {host}:{port}: connect: {_in_words(error)}"
    finally:
        connection.close()
    return f"HTTP probe failed with statuscode: {status}" if status >= 400 else ""


def _in_words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
