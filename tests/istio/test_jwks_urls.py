"""Host and port of a JWKS URL."""

from __future__ import annotations

import pytest

from istio_netpol.istio.jwks_urls import HostPort, host_port


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/jwks", HostPort("example.com", 443)),
        ("http://example.com", HostPort("example.com", 80)),
        ("HTTPS://Example.COM./jwks", HostPort("example.com", 443)),
        ("https://example.com:8443/jwks", HostPort("example.com", 8443)),
        ("https://user:secret@example.com/jwks", HostPort("example.com", 443)),
        ("https://[2001:db8::1]:8443/jwks", HostPort("2001:db8::1", 8443)),
        ("https://192.0.2.7/jwks", HostPort("192.0.2.7", 443)),
        (" https://example.com ", HostPort("example.com", 443)),
    ],
)
def test_url_names_host_and_port(url: str, expected: HostPort) -> None:
    """The port is the explicit one, else that of the scheme."""
    assert host_port(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "accounts@example.com",
        "example.com/jwks",
        "ftp://example.com",
        "https://",
        "https:///jwks",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:port",
        "https://[2001:db8::1/jwks",
        "https://exa mple.com/",
    ],
)
def test_other_text_is_no_url(url: str) -> None:
    """What cannot be fetched over http or https has no host."""
    assert host_port(url) is None
