"""What the programs of this folder share: HTTP servers with a thread a connection, their TLS, and their log.

Pods of the mesh and hosts outside of it run them: `python -m tests.mesh.programs.<name>`. They use the
standard library alone, so that each serves within a few tens of milliseconds, and log a line of JSON for
everything that they receive: what reached one is read from its log.
"""

from __future__ import annotations

import json
import signal
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any

_ONE_LINE_AT_A_TIME = threading.Lock()


class HttpServer(ThreadingHTTPServer):
    """Listens on all addresses. Unlike its base it asks no resolver for its own name, which may take long."""

    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away, and plain bytes reach TLS ports: tests see that at the other end."""
        tell(client=client_address[0], failure=repr(sys.exception()))


class Handler(ABC, BaseHTTPRequestHandler):
    """Answers every method by `respond`, with keep-alive, and leaves logging to `tell`."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    @abstractmethod
    def respond(self) -> None:
        """Reads the request's body and answers."""

    def do_GET(self) -> None:
        self.respond()

    do_DELETE = do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        return

    def body(self) -> bytes:
        """The request's whole body: its length, or chunks, as Envoy sends what it streams."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def answer(self, status: int, document: Any = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Sends a document as JSON, or no body at all."""
        content = b"" if document is None else (json.dumps(document) + "\n").encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def tell(**facts: Any) -> None:
    """Writes a line of JSON to the log."""
    with _ONE_LINE_AT_A_TIME:
        print(json.dumps(facts), flush=True)


def with_tls(server: BaseServer, certificate: Path, key: Path) -> BaseServer:
    """The server behind TLS; handshakes happen in the thread of each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def serve(servers: Iterable[BaseServer]) -> None:
    """Serves until SIGTERM, which ends the program at once and with success."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()
