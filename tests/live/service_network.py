"""What kube-proxy does in a cluster: calls to a Service reach one of the processes that stand behind it.

The API server sends what is meant for the cluster's network through a proxy when it is configured so
(`EgressSelectorConfiguration`, "konnectivity"): here this one, which knows ClusterIPs.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import socketserver
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIGURATION = "egress.json"


class ServiceNetwork:
    """Answers `CONNECT ClusterIP:port`; as a context manager it and all connections end with the block."""

    def __init__(self) -> None:
        self._backends: dict[str, list[int]] = {}
        self._open: set[socket.socket] = set()
        self.sent = 0
        """How many bytes the API server has sent to Services."""
        self._lock = threading.Lock()
        # A folder of its own: the path of a socket may have 107 characters, less than pytest's folders.
        self._folder = tempfile.TemporaryDirectory(prefix="services-")
        self._socket = f"{self._folder.name}/socket"
        self._server = _Server(self._socket, self._handler())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="services").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self.cut()
        self._server.server_close()  # waits for the connections' threads
        self._folder.cleanup()

    def options(self, folder: Path) -> tuple[str, ...]:
        """How an API server is told to use it; the file is written into `folder`."""
        transport = {"uds": {"udsName": self._socket}}
        connection = {"proxyProtocol": "HTTPConnect", "transport": transport}
        configuration = {
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{"name": "cluster", "connection": connection}],
        }
        (folder / CONFIGURATION).write_text(json.dumps(configuration))
        return (f"--egress-selector-config-file={folder / CONFIGURATION}",)

    def route(self, service: str, *ports: int) -> None:
        """From now on these ports of loopback stand behind the address `ClusterIP:port`; those that refuse
        are passed over."""
        with self._lock:
            self._backends[service] = list(ports)

    def cut(self) -> None:
        """Ends every connection, as a node does that goes away: the API server makes new ones."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _connected(self, service: str) -> socket.socket | None:
        with self._lock:
            ports = self._backends.get(service, [])
            ports.append(ports.pop(0)) if ports else None
        for port in list(ports):
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), 5)
        return None

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        network = self

        class Handler(socketserver.StreamRequestHandler):
            rbufsize = 0  # what follows the head belongs to the other end

            def handle(self) -> None:
                head = self.rfile.readline().split()
                while self.rfile.readline().strip():
                    pass
                backend = network._connected(head[1].decode()) if len(head) == 3 else None
                if backend is None:
                    self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                    return
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with backend:
                    network._carry(self.connection, backend)

        return Handler

    def _carry(self, client: socket.socket, backend: socket.socket) -> None:
        """Copies both ways until either end closes."""
        pair = {client: backend, backend: client}
        with self._lock:
            self._open |= pair.keys()
        try:
            with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
                for end in pair:
                    selector.register(end, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        assert isinstance(key.fileobj, socket.socket)
                        content = key.fileobj.recv(1 << 16)
                        if not content:
                            return
                        if key.fileobj is client:
                            self.sent += len(content)
                        pair[key.fileobj].sendall(content)
        finally:
            with self._lock:
                self._open -= pair.keys()


class _Server(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 128
