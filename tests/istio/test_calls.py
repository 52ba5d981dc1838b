"""The grammar of the annotation `istio-netpol.io/calls`."""

from __future__ import annotations

import pytest

from istio_netpol.istio.calls import (
    AddressCall,
    ApiServerWord,
    BadCall,
    DeclaredCall,
    HostCall,
    ServiceCall,
    parse_calls,
)
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol

GRAMMAR = (
    "an entry is [namespace/]service[:port], host:port, CIDR:port[/protocol] or apiserver; "
    "an IPv6 address stands in brackets"
)


def parsed(text: str) -> DeclaredCall | BadCall:
    ((_, call),) = parse_calls(text)
    return call


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ledger", ServiceCall("ledger")),
        ("ledger:80", ServiceCall("ledger", port=80)),
        ("ledger:http", ServiceCall("ledger", port="http")),
        ("ns-b/nginx:80", ServiceCall("nginx", "ns-b", 80)),
        ("ns-b/nginx", ServiceCall("nginx", "ns-b")),
        ("api.example.com:443", HostCall("api.example.com", 443)),
        ("API.example.com.:443", HostCall("api.example.com", 443)),
        ("ledger.shop", HostCall("ledger.shop")),
        ("10.0.0.0/24:5432/TCP", AddressCall(AddressSet.of("10.0.0.0/24"), 5432)),
        ("10.0.0.7:53/udp", AddressCall(AddressSet.of("10.0.0.7/32"), 53, Protocol.UDP)),
        ("10.0.0.7/24:53", AddressCall(AddressSet.of("10.0.0.0/24"), 53)),
        ("[2001:db8::/64]:443", AddressCall(AddressSet.of("2001:db8::/64"), 443)),
        ("[::1]:80", AddressCall(AddressSet.of("::1/128"), 80)),
        ("apiserver", ApiServerWord()),
    ],
)
def test_entry_is_read(text: str, expected: DeclaredCall) -> None:
    """Each form of the grammar becomes the call that it spells."""
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("ledger:0", "0 is neither a port number from 1 to 65535 nor the name of a Service port"),
        ("ledger:65536", "65536 is neither a port number from 1 to 65535 nor the name of a Service port"),
        ("ledger:HTTP", "HTTP is neither a port number from 1 to 65535 nor the name of a Service port"),
        ("api.example.com:https", "https is not a port number from 1 to 65535"),
        ("10.0.0.0/24", "an address needs a port, 10.0.0.0/24:443 for example"),
        ("10.0.0.0/24:0", "0 is not a port number from 1 to 65535"),
        ("10.0.0.0/33:80", "10.0.0.0/33 is not an IP address or CIDR"),
        ("10.0.0.1:80/ICMP", "the protocol ICMP is none of TCP, UDP, SCTP"),
        ("[fe80]:80", "fe80 is not an IP address or CIDR"),
        ("2001:db8::1:443", GRAMMAR),
        ("*.example.com:443", GRAMMAR),
        ("ns/na.me:80", GRAMMAR),
        ("a/b/c", GRAMMAR),
        ("Ledger", GRAMMAR),
        ("https://api.example.com", GRAMMAR),
    ],
)
def test_bad_entry_says_what_is_wrong(text: str, because: str) -> None:
    """An entry outside the grammar is told of in the terms of what it looks like."""
    assert parsed(text) == BadCall(text, because)


def test_entries_keep_their_order_and_text() -> None:
    """Entries are told apart by commas; blanks around them and empty ones do not count."""
    found = list(parse_calls(" ledger:80 ,, apiserver ,"))
    assert found == [("ledger:80", ServiceCall("ledger", port=80)), ("apiserver", ApiServerWord())]


def test_absent_annotation_declares_nothing() -> None:
    """Workloads without the annotation have no calls."""
    assert list(parse_calls("")) == []
