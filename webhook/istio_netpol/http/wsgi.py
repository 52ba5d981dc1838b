"""Calls a WSGI application (PEP 3333) with a request that is complete."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from istio_netpol.http.message import HttpRequest, HttpResponse

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CLIENT_CERTIFICATE = "istio_netpol.client_certificate"
"""In the environment of a request: the client's certificate as `ssl.SSLSocket.getpeercert` has it."""

GIVE_WAY = "istio_netpol.give_way"
"""In the environment of a request: a function to call before the application waits for anybody. From then on
another thread leads the loop."""


class Caller(Struct, frozen=True):
    """Who sent a request, with which certificate; and what to call before the application waits."""

    address: str
    certificate: Mapping[str, Any] | None
    give_way: Callable[[], None]


def call(
    application: Application, request: HttpRequest, server: tuple[str, int], caller: Caller
) -> HttpResponse:
    """The response of the application to a request."""
    environment = _environment(request, caller.address, server)
    environment[CLIENT_CERTIFICATE] = caller.certificate
    environment[GIVE_WAY] = caller.give_way
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[..., Any]:
        started.append((status, headers))
        return written.append

    parts = application(environment, start_response)
    try:
        written.extend(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    status, headers = started[-1]
    return HttpResponse(int(status.split(" ", 1)[0]), headers, b"".join(written))


def _environment(request: HttpRequest, client: str, server: tuple[str, int]) -> dict[str, Any]:
    path, _, query = request.target.partition("?")
    environment: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        if "_" in name:
            continue  # It would pass for the header with "-" in its place.
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        environment[key] = f"{environment[key]},{value}" if key in environment else value
    environment["CONTENT_LENGTH"] = str(len(request.body))
    return environment
