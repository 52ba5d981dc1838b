"""A hostile pod: `python -m tests.serving.attacks NAME JSON` does one thing to a webhook until it is killed,
its time is up, or whoever started it has gone."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"
POST = b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""How a ClientHello of 512 bytes begins."""

PERIOD = 0.1
"""Seconds between one byte and the next."""

BEGUN = "the first connection is open"

Open = Callable[[], socket.socket]


@dataclass(frozen=True)
class Target:
    """Whom to attack, for how long at most, and from which loopback address."""

    port: int
    ca: str
    seconds: float = 600.0
    source: str = "127.0.0.2"


class Attacker:
    """Opens connections to the target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._ends = time.monotonic() + target.seconds
        self._parent = os.getppid()
        self._has_begun = False
        self._context = ssl.create_default_context(cafile=target.ca)

    @property
    def lasts(self) -> bool:
        """Whether it is to go on."""
        return time.monotonic() < self._ends and os.getppid() == self._parent

    def tcp(self) -> socket.socket:
        """A connection on which nothing was sent. The first is told on standard output."""
        connection = socket.create_connection((HOST, self._target.port), 10, (self._target.source, 0))
        if not self._has_begun:
            self._has_begun = True
            print(BEGUN, flush=True)
        return connection

    def tls(self, first: bytes = b"") -> ssl.SSLSocket:
        """A connection after its handshake, on which `first` was sent."""
        stream = self._context.wrap_socket(self.tcp(), server_hostname=HOST)
        stream.sendall(first)
        return stream

    def keep(self, count: int, connect: Open, drip: bytes = b"") -> None:
        """Keeps so many connections open, and sends a byte on each now and then."""
        kept: list[socket.socket] = []
        while self.lasts:
            with contextlib.suppress(OSError):
                while len(kept) < count and self.lasts:
                    kept.append(connect())
            for connection in _ended(kept):
                kept.remove(connection)
                connection.close()
            for connection in kept if drip else ():
                with contextlib.suppress(OSError):
                    connection.send(drip)
            time.sleep(PERIOD)

    def repeat(self, once: Callable[[], None], threads: int = 4) -> None:
        """Does something again and again, as fast as it can, several times at once."""

        def work() -> None:
            while self.lasts:
                try:
                    once()
                except OSError:
                    time.sleep(0.01)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def _ended(connections: Sequence[socket.socket]) -> list[socket.socket]:
    """Which of them the server has closed."""
    poll = select.poll()
    by_number = {connection.fileno(): connection for connection in connections}
    for number in by_number:
        poll.register(number, select.POLLIN | select.POLLRDHUP)
    return [by_number[number] for number, events in poll.poll(0) if events & ~select.POLLIN]


def _flood(connection: socket.socket, piece: bytes, attacker: Attacker) -> None:
    """Sends the same again and again, as long as the server takes it."""
    with connection:
        while attacker.lasts:
            connection.sendall(piece)


def silent(attacker: Attacker) -> None:
    """Connections on which nothing is ever sent."""
    attacker.keep(1500, attacker.tcp)


def partial_handshakes(attacker: Attacker) -> None:
    """The first bytes of a handshake, then one byte now and then."""

    def connect() -> socket.socket:
        connection = attacker.tcp()
        connection.sendall(HELLO)
        return connection

    attacker.keep(800, connect, b"\0")


def idle_after_handshake(attacker: Attacker) -> None:
    """Whole handshakes, and no request."""
    attacker.keep(1500, attacker.tls)


def idle_after_answer(attacker: Attacker) -> None:
    """Connections that are kept alive after a request, and not used."""
    attacker.keep(1500, lambda: attacker.tls(GET))


def slow_headers(attacker: Attacker) -> None:
    """Headers, byte by byte."""
    attacker.keep(200, lambda: attacker.tls(POST + b"X: "), b"a")


def slow_bodies(attacker: Attacker) -> None:
    """Bodies, byte by byte."""
    attacker.keep(200, lambda: attacker.tls(POST + b"Content-Length: 9999\r\n\r\n"), b" ")


def unsent_bodies(attacker: Attacker) -> None:
    """Bodies that are announced and not sent."""
    attacker.keep(400, lambda: attacker.tls(POST + b"Content-Length: 8388608\r\n\r\n"))


def unfinished_bodies(attacker: Attacker) -> None:
    """Large bodies whose last byte does not come."""
    body = b" " * (4 * 1024 * 1024)
    attacker.keep(100, lambda: attacker.tls(POST + b"Content-Length: 4194305\r\n\r\n" + body))


def huge_headers(attacker: Attacker) -> None:
    """Headers without end."""
    attacker.repeat(lambda: _flood(attacker.tls(POST + b"X: "), b"a" * 16384, attacker))


def endless_chunks(attacker: Attacker) -> None:
    """A body in chunks of one byte, without end."""
    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    attacker.repeat(lambda: _flood(attacker.tls(chunks), b"1\r\n \r\n" * 2000, attacker))


def tiny_records(attacker: Attacker) -> None:
    """A body in TLS records of one byte."""
    attacker.repeat(lambda: _flood(attacker.tls(POST + b"Content-Length: 8388608\r\n\r\n"), b" ", attacker))


def oversize_bodies(attacker: Attacker) -> None:
    """Bodies that are too large, sent nevertheless."""
    head = POST + b"Content-Length: 99999999\r\n\r\n"
    attacker.repeat(lambda: _flood(attacker.tls(head), b" " * 65536, attacker))


def churn(attacker: Attacker) -> None:
    """Connections that are opened and closed."""
    attacker.repeat(lambda: attacker.tcp().close())


def handshakes(attacker: Attacker) -> None:
    """Handshakes, one after the other."""
    attacker.repeat(lambda: attacker.tls().close())


def half_closed(attacker: Attacker) -> None:
    """Connections of which the client has closed its side, before a request and within one."""

    def connect() -> socket.socket:
        connection = attacker.tls(POST + b"Content-Length: 9999\r\n\r\n{")
        socket.socket.shutdown(connection, socket.SHUT_WR)
        return connection

    def once() -> None:
        connection = attacker.tcp()
        connection.shutdown(socket.SHUT_WR)
        with connection, connect():
            time.sleep(0.05)

    attacker.repeat(once, 16)


def unread_answers(attacker: Attacker) -> None:
    """Requests without end, whose answers are never read."""

    def once() -> None:
        connection = attacker.tls()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        _flood(connection, GET, attacker)

    attacker.repeat(once, 16)


def no_reviews(attacker: Attacker) -> None:
    """Requests that are complete and no reviews, as fast as they are answered."""
    body = b"[" + b"1," * 5000 + b"1]"
    request = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def once() -> None:
        with attacker.tls() as connection:
            while attacker.lasts:
                connection.sendall(request)
                if not connection.recv(65536):
                    return

    attacker.repeat(once, 16)


def known_client(attacker: Attacker) -> None:
    """Handshakes without end of a client whose review was answered, which is not paced."""
    review = json.dumps(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u",
                "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
                "resource": {"group": "", "version": "v1", "resource": "configmaps"},
                "name": "a",
                "namespace": "a",
                "operation": "CREATE",
                "userInfo": {},
            },
        }
    ).encode()
    with attacker.tls(POST + b"Content-Length: %d\r\n\r\n" % len(review) + review) as connection:
        connection.recv(65536)
    handshakes(attacker)


ATTACKS: dict[str, Callable[[Attacker], None]] = {
    attack.__name__: attack
    for attack in (
        silent,
        partial_handshakes,
        idle_after_handshake,
        idle_after_answer,
        slow_headers,
        slow_bodies,
        unsent_bodies,
        unfinished_bodies,
        huge_headers,
        endless_chunks,
        tiny_records,
        oversize_bodies,
        churn,
        handshakes,
        half_closed,
        unread_answers,
        no_reviews,
        known_client,
    )
}


@contextlib.contextmanager
def attacking(name: str, target: Target) -> Iterator[None]:
    """The attack, in a process of its own, from its first connection until the block ends."""
    command = [sys.executable, "-m", "tests.serving.attacks", name, json.dumps(asdict(target))]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"{BEGUN}\n"
        yield
        assert process.poll() is None, "the attack ended by itself"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main(name: str, target: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    ATTACKS[name](Attacker(Target(**json.loads(target))))


if __name__ == "__main__":
    main(*sys.argv[1:])
