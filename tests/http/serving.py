"""The loop in a thread of the test, over TLS on loopback, with an application of the test's."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from istio_netpol.certs.self_signed import make_self_signed
from istio_netpol.http.limits import Limits
from istio_netpol.http.loop import EventLoop, Site
from istio_netpol.http.refusals import Refusals
from istio_netpol.http.wsgi import Application

HOST = "127.0.0.1"


class Served:
    """How to reach it."""

    def __init__(self, port: int, ca: Path) -> None:
        self.port = port
        self.refusals = Refusals()
        self._context = ssl.create_default_context(cafile=ca)

    def count(self, reason: str) -> float:
        """Connections that were refused for that reason."""
        (counts,) = (metric for metric in self.refusals.collect() if metric.name.endswith("refused"))
        return sum(sample.value for sample in counts.samples if sample.labels["reason"] == reason)

    def open(self, source: str = HOST) -> ssl.SSLSocket:
        """A TLS connection from a loopback address."""
        plain = socket.create_connection((HOST, self.port), 60, (source, 0))
        return self._context.wrap_socket(plain, server_hostname=HOST)

    def ask(self, method: str, path: str, source: str = HOST, body: bytes | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body of the answer."""
        with self.open(source) as stream:
            length = b"Content-Length: %d\r\n" % len(body) if body is not None else b""
            stream.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: a\r\n".encode() + length + b"\r\n" + (body or b"")
            )
            response = http.client.HTTPResponse(stream, method=method)
            response.begin()
            return response.status, response.read()


@contextlib.contextmanager
def serving(application: Application, folder: Path, limits: Limits) -> Iterator[Served]:
    """Serves until the block ends."""
    files = make_self_signed(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    listener = socket.create_server((HOST, 0), backlog=1024)
    served = Served(listener.getsockname()[1], files.ca)
    loop = EventLoop(Site([listener], lambda: context, application), limits, served.refusals)
    stopped = threading.Event()

    def run() -> None:
        loop.run(lambda: not stopped.is_set())
        loop.stop(lambda: True, 5.0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield served
    finally:
        stopped.set()
        loop.wake()
        thread.join()
