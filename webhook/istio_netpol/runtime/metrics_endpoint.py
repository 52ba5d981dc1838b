"""`/metrics` over HTTP on a socket of its own, in threads of its own."""

from __future__ import annotations

import socket
import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

CLIENT_SECONDS = 10.0


def serve_metrics(listener: socket.socket, registry: CollectorRegistry) -> None:
    """Serves the registry on a listening socket, which may outlive this process; returns at once."""
    serve_plain(listener, make_wsgi_app(registry))


def serve_plain(listener: socket.socket, app: Any) -> None:
    """Serves a WSGI application over HTTP in threads; returns at once."""
    server = PlainServer(listener)
    server.set_app(app)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not logged one by one."""


class PlainServer(ThreadingMixIn, WSGIServer):
    """A WSGI server on a socket that listens already, with a thread for each connection."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        address = listener.getsockname()[:2]
        super().__init__(address, _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = address
        self.setup_environ()
