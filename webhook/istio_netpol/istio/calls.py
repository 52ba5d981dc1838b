"""Reads the annotation `istio-netpol.io/calls`: connections that a workload needs and that no Istio object
shows.

    calls   = entry *( "," entry )
    entry   = service | host | address | "apiserver"
    service = [ namespace "/" ] name [ ":" service-port ]         ledger, ns-b/nginx:80, ledger:http
    host    = dns-name ":" port                                   api.example.com:443
    address = ( IPv4 | IPv4 CIDR | "[" IPv6 | IPv6 CIDR "]" ) ":" port [ "/" protocol ]
                                                                  10.0.0.0/24:5432/TCP, [2001:db8::/64]:443

A name without dots is a Service of the workload's own namespace. A name with dots is a host; whoever knows
the cluster may find that it is the name of a Service, and only then may its port be absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from istio_netpol.model.addresses import AddressSet, parse_networks
from istio_netpol.model.connections import FIRST_PORT, LAST_PORT, Protocol, parse_port
from istio_netpol.model.own_names import CALLS

FIELD = f"metadata.annotations[{CALLS}]"
GRAMMAR = "[namespace/]service[:port], host:port, CIDR:port[/protocol] or apiserver"

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SERVICE = re.compile(rf"((?P<namespace>{_LABEL})/)?(?P<name>{_LABEL})(:(?P<port>[^:/]+))?")
_HOST = re.compile(rf"(?P<host>{_LABEL}(\.{_LABEL})+)\.?(:(?P<port>[^:/]+))?", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(\[(?P<six>[^\]]*)\]|(?P<four>[0-9.]+(/[0-9]*)?))(:(?P<port>[^:/]+)(/(?P<protocol>\w+))?)?"
)
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")


class ServiceCall(Struct, frozen=True):
    """`namespace` is empty where it is the workload's own; `port` is a Service port's number or name, None
    for all of them."""

    name: str
    namespace: str = ""
    port: int | str | None = None


class HostCall(Struct, frozen=True):
    """A DNS name; `port` is None where the entry has none, which only a Service's name may do."""

    host: str
    port: int | None = None


class AddressCall(Struct, frozen=True):
    """An address or a CIDR with a port."""

    addresses: AddressSet
    port: int
    protocol: Protocol = Protocol.TCP


class ApiServerWord(Struct, frozen=True):
    """The word `apiserver`."""


class BadCall(Struct, frozen=True):
    """An entry that can't be read; `because` completes the sentence "… is not understood: …"."""

    text: str
    because: str


DeclaredCall = ServiceCall | HostCall | AddressCall | ApiServerWord


def parse_calls(annotation: str) -> Iterator[tuple[str, DeclaredCall | BadCall]]:
    """Every entry of the annotation with its text, in order; empty ones (after a last comma) are left out."""
    for entry in annotation.split(","):
        text = entry.strip()
        if text:
            yield text, _parse(text)


def _parse(text: str) -> DeclaredCall | BadCall:
    if text == "apiserver":
        return ApiServerWord()
    if match := _ADDRESS.fullmatch(text):
        return _address(text, match)
    if match := _HOST.fullmatch(text):
        return _host(text, match)
    if match := _SERVICE.fullmatch(text):
        return _service(text, match)
    return BadCall(text, f"an entry is {GRAMMAR}; an IPv6 address stands in brackets")


def _address(text: str, match: re.Match[str]) -> DeclaredCall | BadCall:
    written = match["six"] if match["six"] is not None else match["four"]
    addresses, unreadable = parse_networks([written])
    if unreadable:
        return BadCall(text, f"{written} is not an IP address or CIDR")
    if match["port"] is None:
        return BadCall(text, f"an address needs a port, {text}:443 for example")
    port = parse_port(match["port"])
    if port is None:
        return BadCall(text, _not_a_port(match["port"]))
    protocol = (match["protocol"] or "TCP").upper()
    if protocol not in Protocol.__members__:
        return BadCall(text, f"the protocol {match['protocol']} is none of TCP, UDP, SCTP")
    return AddressCall(addresses, port, Protocol(protocol))


def _host(text: str, match: re.Match[str]) -> DeclaredCall | BadCall:
    host = match["host"].lower()
    if match["port"] is None:
        return HostCall(host)
    port = parse_port(match["port"])
    return BadCall(text, _not_a_port(match["port"])) if port is None else HostCall(host, port)


def _service(text: str, match: re.Match[str]) -> DeclaredCall | BadCall:
    name, namespace, port = match["name"], match["namespace"] or "", match["port"]
    if port is None:
        return ServiceCall(name, namespace)
    number = parse_port(port)
    if number is None and not _PORT_NAME.fullmatch(port):
        return BadCall(
            text,
            f"{port} is neither a port number from {FIRST_PORT} to {LAST_PORT} nor the name of a Service "
            "port",
        )
    return ServiceCall(name, namespace, port if number is None else number)


def _not_a_port(text: str) -> str:
    return f"{text} is not a port number from {FIRST_PORT} to {LAST_PORT}"
