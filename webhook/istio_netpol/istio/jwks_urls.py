"""Reads from a URL the host and port from which a JWKS is fetched."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from istio_netpol.model.connections import FIRST_PORT

DEFAULT_PORTS = {"http": 80, "https": 443}


class HostPort(Struct, frozen=True):
    """`host` is a lower-case DNS name without its last dot, or an IP address without brackets."""

    host: str
    port: int


def host_port(url: str) -> HostPort | None:
    """The host and port that an http or https URL is fetched from; None for other text."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host or any(char.isspace() for char in host):
        return None
    if port is not None and port < FIRST_PORT:
        return None
    return HostPort(host.removesuffix("."), port or DEFAULT_PORTS[scheme])
