"""A network of pods and of addresses beside them, and packets between any two of them.

Everybody listens on a few ports by TCP, and echoes on them by UDP. A socket belongs to the network namespace
in which it was made, so this one process has sockets in all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from tests.mesh import topology
from tests.mesh.sandbox import Sandbox

from istio_netpol.model.connections import Protocol

CLONE_NEWNET = 0x40000000
ANSWERED_WITHIN = 10.0
"""Whoever has no answer after so long has none; everything happens on one machine."""

AT_ONCE = 4000
"""How many connections are tried together: each takes a file descriptor."""

KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
ENDS = {Protocol.TCP: selectors.EVENT_WRITE, Protocol.UDP: selectors.EVENT_READ}
"""What a socket is ready for when its attempt has ended."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)

PREPARE = "sysctl -q -w net.ipv4.icmp_msgs_per_sec=1000000 net.ipv4.icmp_msgs_burst=1000000"
"""Every refusal is told: beside the limit for each sender, which the worker has not, there is one for all."""


class Attempt(NamedTuple):
    """One new connection."""

    source: str
    destination: str
    protocol: Protocol
    port: int

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination}:{self.port}/{self.protocol}"


class Outcome(StrEnum):
    CONNECTED = "connected"
    REFUSED = "refused"
    SILENCE = "silence"


class PacketNetwork:
    """Network namespaces on a worker that forwards, each with its addresses."""

    def __init__(self, sandbox: Sandbox, networks: dict[str, Sequence[str]], ports: Sequence[int]) -> None:
        self._sandbox = sandbox
        self._network_of = {address: name for name, some in networks.items() for address in some}
        self._listeners: list[socket.socket] = []
        self._echoes: list[socket.socket] = []
        sandbox.run(*topology.script(_layout(networks)))
        for name, addresses in networks.items():
            with self._inside(name):
                for address in addresses:
                    for port in ports:
                        self._listen(address, port)

    def close(self) -> None:
        for server in (*self._listeners, *self._echoes):
            server.close()

    def enforce(self, rules: str) -> None:
        """Runs a script of nft on the worker, and forgets all connections there have been."""
        self._sandbox.run("sh", "-ec", "nft --file - && conntrack --flush >&2", stdin=rules)

    def outcomes(
        self, attempts: Sequence[Attempt], within: float = ANSWERED_WITHIN
    ) -> dict[Attempt, Outcome]:
        """Tries all of them."""
        found: dict[Attempt, Outcome] = {}
        for start in range(0, len(attempts), AT_ONCE):
            found |= self._tried(attempts[start : start + AT_ONCE], within)
        return found

    def _listen(self, address: str, port: int) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind((address, port))
        listener.listen(AT_ONCE)
        self._listeners.append(listener)
        echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        echo.bind((address, port))
        self._echoes.append(echo)

    def _tried(self, attempts: Sequence[Attempt], within: float) -> dict[Attempt, Outcome]:
        found: dict[Attempt, Outcome] = {}
        with selectors.EpollSelector() as selector, contextlib.ExitStack() as opened:
            for echo in self._echoes:
                selector.register(echo, selectors.EVENT_READ)
            for attempt, client in self._opened(attempts):
                opened.enter_context(client)
                refused = _call(client, attempt)
                if refused:
                    found[attempt] = Outcome.REFUSED
                    continue
                selector.register(client, ENDS[attempt.protocol], attempt)
            self._answer(selector, found, len(attempts), within)
        self._drain()
        return {attempt: found.get(attempt, Outcome.SILENCE) for attempt in attempts}

    def _answer(
        self, selector: selectors.BaseSelector, found: dict[Attempt, Outcome], wanted: int, within: float
    ) -> None:
        """Echoes, and notes how each attempt ends."""
        end = time.monotonic() + within
        while len(found) < wanted and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                if key.data is None:
                    _echo(ready)
                else:
                    selector.unregister(ready)
                    found[key.data] = _outcome(ready, key.data)

    def _opened(self, attempts: Iterable[Attempt]) -> Iterator[tuple[Attempt, socket.socket]]:
        """A socket for each, made in the network namespace of its source."""
        by_source: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            by_source.setdefault(attempt.source, []).append(attempt)
        for source, some in by_source.items():
            with self._inside(self._network_of[source]):
                clients = [_client(attempt) for attempt in some]
            yield from zip(some, clients, strict=True)

    def _drain(self) -> None:
        """Takes what was connected off the listeners' queues."""
        for listener in self._listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()

    @contextlib.contextmanager
    def _inside(self, network: str) -> Iterator[None]:
        """This thread in a network namespace of the sandbox, and back again."""
        path = f"/proc/{self._sandbox.init}/root/run/netns/{network}"
        home, there = (os.open(namespace, os.O_RDONLY) for namespace in ("/proc/thread-self/ns/net", path))
        try:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)
            os.close(there)


def _layout(networks: dict[str, Sequence[str]]) -> list[topology.Command]:
    commands = [*topology.worker(), *topology.control_plane(), PREPARE.split()]
    for name, (first, *others) in networks.items():
        commands += topology.attach(name, first)
        for address in others:
            commands.append(["ip", "-n", name, "address", "add", f"{address}/32", "dev", "eth0"])
            commands.append(["ip", "route", "add", f"{address}/32", "dev", topology.link_of(name)])
    return commands


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _client(attempt: Attempt) -> socket.socket:
    client = socket.socket(socket.AF_INET, KINDS[attempt.protocol] | socket.SOCK_NONBLOCK)
    if attempt.protocol is Protocol.TCP:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    client.bind((attempt.source, 0))
    return client


def _call(client: socket.socket, attempt: Attempt) -> bool:
    """Begins to connect, or sends a word; whether it was refused at once."""
    try:
        with contextlib.suppress(BlockingIOError):
            client.connect((attempt.destination, attempt.port))
        if attempt.protocol is Protocol.UDP:
            client.send(b"?")
    except ConnectionRefusedError:
        return True
    return False


def _echo(server: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            word, sender = server.recvfrom(16)
            server.sendto(word, sender)


def _outcome(client: socket.socket, attempt: Attempt) -> Outcome:
    """How an attempt has ended of which the kernel says that it has."""
    try:
        if attempt.protocol is Protocol.UDP:
            client.recv(16)
        elif error := client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, f"{attempt}: {os.strerror(error)}")
    except ConnectionRefusedError:
        return Outcome.REFUSED
    return Outcome.CONNECTED
