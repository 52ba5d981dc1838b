"""gunicorn's threaded worker, changed so that one client can't make the others wait.

The worker has one loop, which accepts connections and hands them to threads. In gunicorn 27 the loop also
closes connections, for up to two seconds each while it waits for the client's side, and a new connection
takes a thread before its client has sent anything. Both are done here where they hold up nobody. A stopping
worker there keeps its port open until the last answer is sent; this one closes it first.
"""

from __future__ import annotations

import contextlib
import json
import signal
import ssl
import time
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from istio_netpol.server.tls import REQUEST_SECONDS

_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


class WebhookWorker(ThreadWorker):  # type: ignore[misc]
    """Serves connections in threads; its loop waits for no client."""

    def init_signals(self) -> None:
        """Leaves SIGINT to the parent: Ctrl-C reaches both, and stops as gracefully as SIGTERM."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def enqueue_req(self, conn: TConn) -> None:
        """Hands a connection to a thread once its client has sent something."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + REQUEST_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: TConn) -> Any:
        """Answers a request; closes the connection, if it is to be closed, in this thread."""
        kept = super().handle(conn)
        if not kept:
            with contextlib.suppress(OSError):
                conn.close(graceful=True)
        return kept

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Waits for the next request of a connection that is kept."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self.nr_conns -= 1

    def set_accept_enabled(self, enabled: bool) -> None:
        """On the way out, accepts what waits in the backlog and closes the port: who comes later is refused
        at once, and can ask another replica, instead of waiting for an answer that won't come."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            before = -1
            while before != self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
            listener.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """On the way out, connections on which nothing has come wait no longer than idle ones."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answers what can't be parsed as HTTP in JSON, as everything else; a failed handshake not at all."""
        if isinstance(exc, ssl.SSLError):
            self.log.warning("TLS with %s failed: %s", (addr or ("",))[0], exc)
            return
        if isinstance(exc, errors.ParseException):
            status = _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
            sentence = f"this is no HTTP request that is served here: {str(exc)[:200]}"
        else:
            self.log.exception("unexpected error", exc_info=exc)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            sentence = "an error inside istio-netpol; its log has the details"
        with contextlib.suppress(OSError):
            client.sendall(_answer(status, sentence))


def _answer(status: HTTPStatus, sentence: str) -> bytes:
    body = json.dumps({"error": sentence, "code": status.value}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
