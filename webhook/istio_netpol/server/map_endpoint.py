"""The socket of the map: TLS, few connections and none for long: whoever reaches it harms no review."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import structlog

from istio_netpol.runtime.metrics_endpoint import PlainServer

CONNECTIONS = 16
"""Open at once; one more is closed at once."""

CONNECTION_SECONDS = 30.0
"""From the first byte of a handshake to the last of an answer."""


def serve_map(listener: socket.socket, context: Callable[[], ssl.SSLContext], app: Any) -> None:
    """Serves a WSGI application over HTTPS in threads; returns at once. `context` is asked for each
    connection."""
    server = _MapServer(listener, context)
    server.set_app(app)
    threading.Thread(target=server.serve_forever, name="map", daemon=True).start()


class _MapServer(PlainServer):
    def __init__(self, listener: socket.socket, context: Callable[[], ssl.SSLContext]) -> None:
        super().__init__(listener)
        self._context = context
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._log = structlog.get_logger("map")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes a thread for a connection, if there is one."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shakes hands and answers, within the time that a connection has."""
        current = [request]
        timer = threading.Timer(CONNECTION_SECONDS, lambda: _break_off(current[0]))
        timer.daemon = True
        timer.start()
        try:
            request.settimeout(CONNECTION_SECONDS)
            current[0] = self._context().wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            current[0].do_handshake()
            self.finish_request(current[0], client_address)
        except OSError:
            pass  # the client went away, does not speak TLS, or took too long
        except Exception:
            self._log.exception("a connection to the map failed")
        finally:
            timer.cancel()
            self.shutdown_request(current[0])
            self._slots.release()


def _break_off(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
