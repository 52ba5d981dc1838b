"""A name server on loopback that answers, truncates, lies, fails and keeps silent as its zone says."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from msgspec import Struct, field

Records = dict[str, dict[str, list[str]]]
"""Answers by owner name and type; `TTL` beside the types."""


class Zone(Struct):
    """What a server does: `records` are answered; names may instead be `failing`, `silent`, `truncated` (over
    UDP), `garbled`, `forged` (a wrong id first) or answered `without_chain`; `silent_types` get no answer."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    truncated: frozenset[str] = frozenset()
    garbled: frozenset[str] = frozenset()
    forged: frozenset[str] = frozenset()
    without_chain: bool = False
    silent_types: frozenset[str] = frozenset()


class NameServer:
    """Serves one zone over UDP and TCP on the same port; `asked` counts questions by name, type and
    transport."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: Counter[tuple[str, str, str]] = Counter()
        self._udp, self._tcp = _bound(self._handler)
        self.address = ("127.0.0.1", self._udp.server_address[1])
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,)) for server in (self._udp, self._tcp)
        ]

    def __enter__(self) -> NameServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip((self._udp, self._tcp), self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self, wire: bytes, transport: str) -> list[bytes]:
        """The datagrams or messages to send back."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind, transport] += 1
        if name in self.zone.silent or kind in self.zone.silent_types:
            return []
        if name in self.zone.garbled:
            return [wire[:2] + b"\x81\x80garbage"]
        response = dns.message.make_response(query)
        if name in self.zone.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name in self.zone.truncated and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        answer = response.to_wire()
        forged = struct.pack("!H", (response.id + 1) % 65536) + answer[2:]
        return [forged, answer] if name in self.zone.forged and transport == "udp" else [answer]

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(20):
            found = self.zone.records.get(name)
            if found is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                return
            ttl = found.get("TTL", 60)
            if "CNAME" in found:
                target = found["CNAME"]
                if not any(record.name.to_text() == f"{name}." for record in response.answer):
                    response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", "CNAME", f"{target}."))
                if self.zone.without_chain:
                    return
                name = target
                continue
            if kind in found:
                response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *found[kind]))
            return


def _bound(
    answer: Callable[[bytes, str], list[bytes]],
) -> tuple[socketserver.UDPServer, socketserver.TCPServer]:
    class Datagrams(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            for message in answer(wire, "udp"):
                sock.sendto(message, self.client_address)

    class Streams(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.request.recv(2, socket.MSG_WAITALL))
            for message in answer(self.request.recv(length, socket.MSG_WAITALL), "tcp"):
                self.request.sendall(struct.pack("!H", len(message)) + message)

    for _ in range(20):
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Streams)
        try:
            return socketserver.ThreadingUDPServer(tcp.server_address, Datagrams), tcp
        except OSError:
            tcp.server_close()
    raise AssertionError("no port is free for both transports")
