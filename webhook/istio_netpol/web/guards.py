"""Who may see the map of `map --serve`: whoever reaches loopback, or has the token."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import request

from istio_netpol.web.app import Guard, Refusal, Sight

LEAST_TOKEN = 16
"""Characters of a token that nobody guesses."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address. Other names than localhost may mean any."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def loopback_only() -> Sight | Refusal:
    """Shows everything to a page that was requested under a name of loopback."""
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        return Refusal(421, "ask by the address that istio-netpol printed, such as 127.0.0.1")
    return Sight()


def with_token(token: str) -> Guard:
    """Everything for whoever sends the token: as password of HTTP's basic authentication, so that a browser
    asks for it, or as bearer token."""

    def guard() -> Sight | Refusal:
        given = request.authorization
        sent = ""
        if given is not None:
            sent = given.token or (given.password if given.type == "basic" else "") or ""
        if hmac.compare_digest(sent.encode(), token.encode()):
            return Sight()
        return Refusal(401, "send the token of --token-file as password, or as bearer token")

    return guard
