"""gunicorn, configured for one webhook: one process, threads, keep-alive, TLS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication

from istio_netpol.server.logs import GunicornLogger
from istio_netpol.server.tls import ServingCertificate

THREADS = 16
"""More than cores: a review may wait for DNS."""

KEEP_ALIVE_SECONDS = 75
GRACEFUL_SECONDS = 25
"""Under the 30 s that Kubernetes gives a pod to end."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen, `HOST:PORT` (port 0: any free one), and with which certificate files."""

    listen: str
    certificate: ServingCertificate
    certificate_file: str
    key_file: str


class WebhookServer(BaseApplication):  # type: ignore[misc]
    """Serves what `make` returns. `make` is called in the worker process, where threads may be started."""

    def __init__(self, endpoint: Endpoint, make: Callable[[], Flask]) -> None:
        self._endpoint = endpoint
        self._make = make
        super().__init__()

    def load_config(self) -> None:
        """Sets what differs from gunicorn's defaults; nothing is read from files or the environment."""
        for name, value in self._settings().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application of a worker."""
        return self._make()

    def _settings(self) -> dict[str, Any]:
        endpoint = self._endpoint
        return {
            "bind": [endpoint.listen],
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "certfile": endpoint.certificate_file,
            "keyfile": endpoint.key_file,
            "ssl_context": lambda config, default: endpoint.certificate.context(),
            "do_handshake_on_connect": False,
            "logger_class": GunicornLogger,
            "control_socket_disable": True,
            "when_ready": _tell,
            "proc_name": "istio-netpol",
        }


def _tell(server: Any) -> None:
    """The address in the log: with port 0 nobody else knows it."""
    for listener in server.LISTENERS:
        host, port = listener.sock.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        structlog.get_logger("server").info("listening", url=f"https://{shown}:{port}")
