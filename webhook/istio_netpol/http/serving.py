"""gunicorn, configured for one webhook: one process, and a worker that no client can hold up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from msgspec import Struct

from istio_netpol.http.limits import Limits
from istio_netpol.http.refusals import Refusals
from istio_netpol.http.tls import ServingCertificate
from istio_netpol.http.worker import LoopWorker
from istio_netpol.runtime.listening import url_of
from istio_netpol.runtime.logs import GunicornLogger

GRACEFUL_SECONDS = 25
"""Under the 30 s that Kubernetes gives a pod to end."""

MEMORY_FOLDER = "/dev/shm"  # noqa: S108
"""Where the worker's sign of life is kept, if it is there: a slow disk must not look like a dead worker,
and the root file system may be read-only."""


class ServingEndpoint(Struct, frozen=True):
    """The socket to serve on, with which certificate, how much of clients is borne, and who counts it."""

    listener: socket.socket
    certificate: ServingCertificate
    limits: Limits
    refusals: Refusals


class _Arbiter(Arbiter):  # type: ignore[misc]
    """Stops on SIGINT as on SIGTERM: what is in flight is answered. A second SIGINT doesn't wait for it."""

    handle_int = Arbiter.handle_term


class WebhookServer(BaseApplication):  # type: ignore[misc]
    """Serves what `make` returns. `make` is called in the worker process, where threads may be started."""

    def __init__(self, endpoint: ServingEndpoint, make: Callable[[], Flask]) -> None:
        self.limits = endpoint.limits
        self.refusals = endpoint.refusals
        self.context = endpoint.certificate.context
        self._make = make
        # From here on the socket is gunicorn's to close.
        self._url = url_of("https", endpoint.listener)
        self._bind = f"fd://{endpoint.listener.detach()}"
        super().__init__()

    def run(self) -> None:
        """Serves until a signal ends it, then raises SystemExit."""
        _Arbiter(self).run()

    def load_config(self) -> None:
        """Sets what differs from gunicorn's defaults; nothing is read from files or the environment."""
        for name, value in self._settings().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application of a worker."""
        return self._make()

    def _settings(self) -> dict[str, Any]:
        return {
            "bind": [self._bind],
            "workers": 1,
            "worker_class": LoopWorker,
            "worker_tmp_dir": MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK | os.X_OK) else None,
            "graceful_timeout": GRACEFUL_SECONDS,
            "logger_class": GunicornLogger,
            "control_socket_disable": True,
            "when_ready": self._tell,
            "proc_name": "istio-netpol",
        }

    def _tell(self, _: Any) -> None:
        """Logs the address: with port 0 only the log shows it."""
        structlog.get_logger("server").info("listening", url=self._url)
