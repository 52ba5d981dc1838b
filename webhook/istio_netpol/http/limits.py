"""What clients may take, all together and each."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True):
    """Connections, bytes and seconds; the settings of the same names tell what they are for."""

    connections: int = 1024
    connections_per_client: int = 512
    request_seconds: float = 10.0
    """For the handshake, for a request from its first byte to its last, and for taking the answer."""

    idle_seconds: float = 100.0
    """Longer than the API server keeps an idle connection (90 s, Go's http.DefaultTransport). Were it
    shorter, one could close under a review that is just being sent, and a POST is not sent again."""

    request_bytes: int = 8 * 1024 * 1024
    """The largest body of one request."""

    buffered_bytes: int = 64 * 1024 * 1024
    """Of all requests that are not complete yet."""

    threads: int = 256
    """Requests that are under way at once. Far more than cores, and more than the reviews that the API server
    sends for one tenant at a time (its priorities give a user's requests a part of 600 places): each holds a
    thread while it waits for the turn of its namespace. They are started as they are needed."""
