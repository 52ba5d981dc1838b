"""A load generator for one HTTPS endpoint of loopback: kept connections, one request at a time on each.

It is a process of its own, so that it does not share the interpreter of what it measures, and speaks HTTP
itself over sockets, so that a request costs it little. It ends after `seconds` or `count` requests, whichever
comes first.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

HOST = "127.0.0.1"
TIMEOUT = 10.0
END_OF_HEAD = b"\r\n\r\n"
WARM_UP = 0.5
"""Seconds before the first request that counts."""


@dataclass(frozen=True)
class Job:
    """What to send where. `bodies` names a file with one body a line."""

    port: int
    ca: str
    bodies: str
    connections: int
    seconds: float
    count: int


@dataclass
class Round:
    """What came back: wall seconds, milliseconds of each request, and how many answers were not a 200."""

    wall: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0


def run(job: Job) -> Round:
    """Sends until time or requests are used up."""
    bodies = [_request(line) for line in Path(job.bodies).read_bytes().splitlines()]
    context = ssl.create_default_context(cafile=job.ca)
    results = Round()
    begins = time.perf_counter() + WARM_UP
    share = job.count // job.connections
    threads = [
        threading.Thread(
            target=_send,
            args=(context, job.port, bodies[at :: job.connections], begins, job.seconds, share, results),
        )
        for at in range(job.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.wall = time.perf_counter() - begins
    return results


def _send(
    context: ssl.SSLContext,
    port: int,
    requests: list[bytes],
    begins: float,
    seconds: float,
    share: int,
    results: Round,
) -> None:
    times: list[float] = []
    errors = 0
    with (
        socket.create_connection((HOST, port), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as connection,
    ):
        for number in count():
            start = time.perf_counter()
            if start > begins + seconds or len(times) >= share:
                break
            connection.sendall(requests[number % len(requests)])
            errors += not _answer(connection).startswith(b"HTTP/1.1 200")
            if start >= begins:
                times.append((time.perf_counter() - start) * 1000)
    results.milliseconds += times
    results.errors += errors


def _request(body: bytes) -> bytes:
    head = (
        f"POST /validate HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _answer(connection: ssl.SSLSocket) -> bytes:
    """One whole answer with a Content-Length."""
    received = connection.recv(65536)
    while (end := received.find(END_OF_HEAD)) < 0:
        received += _more(connection)
    head = received[:end].lower()
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
