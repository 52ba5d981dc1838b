"""Listening sockets, opened before anything else starts: an address that is taken is a mistake in the
arguments, not a server that fails later."""

from __future__ import annotations

import os
import socket

from istio_netpol.errors import SettingsError

BACKLOG = 4096
"""Connections that wait for the server; the kernel's own limit (net.core.somaxconn) may be lower."""


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens there; port 0 takes any free one. `option` is what the user would change.
    Raises SettingsError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, address = found[0][0], found[0][4]
        is_any = family is socket.AF_INET6 and address[0] == "::"
        return socket.create_server(
            (str(address[0]), port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=is_any and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        # Where the kernel refused, without what Python adds; where the name is none, what getaddrinfo says.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise SettingsError(f"{option} {shown}: can't listen there: {reason}; name another one") from None


def url_of(scheme: str, listener: socket.socket) -> str:
    """`scheme://host:port` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
