"""A load generator for one HTTPS endpoint of loopback: kept connections, one request at a time on each.

It is a process of its own, so that it does not share the interpreter of what it measures, and speaks HTTP
itself over sockets, in one thread, so that a request costs it little and no connection waits for another's
thread. It ends after `seconds` or `count` requests, whichever comes first.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

HOST = "127.0.0.1"
TIMEOUT = 10.0
END_OF_HEAD = b"\r\n\r\n"
LAST_CHUNK = b"\r\n0\r\n\r\n"
WARM_UP = 0.5
"""Seconds before the first request that counts."""


@dataclass(frozen=True)
class Job:
    """What to send where. `bodies` names a file with one body a line; `token` is a bearer's, if any."""

    port: int
    ca: str
    bodies: str
    connections: int
    seconds: float
    count: int
    path: str = "/validate"
    token: str = ""


@dataclass
class Round:
    """What came back: wall seconds of all and processor seconds of this process, milliseconds of each
    request, and how many answers were no success."""

    wall: float = 0.0
    processor: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0


@dataclass
class _Connection:
    """One connection, what it has yet to send, and when it sent what is under way."""

    socket: ssl.SSLSocket
    requests: Iterator[bytes]
    sent: float = 0.0

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.socket.sendall(next(self.requests))


def run(job: Job) -> Round:
    """Sends until time or requests are used up."""
    requests = [_request(job, line) for line in Path(job.bodies).read_bytes().splitlines()]
    context = ssl.create_default_context(cafile=job.ca)
    with ExitStack() as opened:
        connections = [
            _Connection(
                opened.enter_context(_connected(context, job.port)), cycle(requests[at :: job.connections])
            )
            for at in range(job.connections)
        ]
        return _exchange(connections, job)


def _connected(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection((HOST, port), timeout=TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=HOST)


def _exchange(connections: list[_Connection], job: Job) -> Round:
    """Sends the next request of a connection as soon as its answer is there."""
    results = Round()
    with DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, EVENT_READ, connection)
            connection.send()
        begins = time.perf_counter() + WARM_UP
        used = time.process_time()
        while len(results.milliseconds) < job.count and time.perf_counter() < begins + job.seconds:
            for key, _ in selector.select(TIMEOUT):
                connection = key.data
                results.errors += not _answer(connection.socket).startswith(b"HTTP/1.1 20")
                if connection.sent >= begins:
                    results.milliseconds.append((time.perf_counter() - connection.sent) * 1000)
                connection.send()
        results.wall = time.perf_counter() - begins
        results.processor = time.process_time() - used
    return results


def _request(job: Job, body: bytes) -> bytes:
    bearer = f"Authorization: Bearer {job.token}\r\n" if job.token else ""
    head = (
        f"POST {job.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n{bearer}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _answer(connection: ssl.SSLSocket) -> bytes:
    """One whole answer, with a Content-Length or in chunks."""
    received = connection.recv(65536)
    while (end := received.find(END_OF_HEAD)) < 0:
        received += _more(connection)
    head = received[:end].lower()
    if b"transfer-encoding: chunked" in head:
        while not received.endswith(LAST_CHUNK):
            received += _more(connection)
        return received
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    while len(received) < end + len(END_OF_HEAD) + length:
        received += _more(connection)
    return received


def _more(connection: ssl.SSLSocket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("the server closed the connection within an answer")
    return received


if __name__ == "__main__":
    print(json.dumps(asdict(run(Job(**json.loads(sys.argv[1]))))))
