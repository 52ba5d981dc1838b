"""A connection to one API server: configuration, authentication and TLS of the official client, bodies as
bytes.

The client's models are left aside. They hold objects whole and typed, and what this program keeps of tens of
thousands of pods is a few fields of each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import urllib3

from istio_netpol.errors import ApiError

JSON = "application/json"
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CHUNK_BYTES = 1 << 16
Query = Sequence[tuple[str, str]]


class Transport(Protocol):
    """Sends requests; `KubernetesClient` is the only one."""

    @property
    def address(self) -> str:
        """Where the API server is."""

    def request(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        """The response, of which nothing but its head was read."""


class ApiConnection:
    """Requests by path; every method may be called from any thread and raises ApiError."""

    def __init__(self, client: Transport, may_write: Callable[[], bool] = lambda: True) -> None:
        self._client = client
        self._may_write = may_write

    def writing_while(self, may_write: Callable[[], bool]) -> ApiConnection:
        """The same connection for somebody who may not always write: `send` fails while they may not."""
        return ApiConnection(self._client, may_write)

    @classmethod
    def open(cls, context: str = "", kubeconfig: Path | None = None) -> ApiConnection:
        """The cluster of a kubeconfig's context, else the one that this pod runs in. Raises SettingsError.

        As kubectl does it, a kubeconfig goes before the pod's own service account.
        """
        from istio_netpol.kube.client import KubernetesClient  # noqa: PLC0415

        return cls(KubernetesClient.open(context, kubeconfig))

    @property
    def address(self) -> str:
        """Where the API server is, for logs."""
        return self._client.address

    def get(
        self, path: str, query: Query = (), accept: str = JSON, read_seconds: float = READ_SECONDS
    ) -> bytes:
        """The body of what the path names."""
        with _Response(self._send("GET", path, query, {"Accept": accept}, None, read_seconds)) as response:
            return response.body()

    def send(self, method: str, path: str, body: bytes, content_type: str = JSON, query: Query = ()) -> bytes:
        """The body of the answer to a POST, PUT, PATCH or DELETE."""
        if not self._may_write():
            raise ApiError(0, f"{method} {path} was not sent, since this process may not write now")
        headers = {"Accept": JSON, "Content-Type": content_type}
        with _Response(self._send(method, path, query, headers, body, READ_SECONDS)) as response:
            return response.body()

    def stream(self, path: str, query: Query, quiet_seconds: float) -> Stream:
        """Opens an answer that goes on. Silence for so long is an error."""
        response = _Response(self._send("GET", path, query, {"Accept": JSON}, None, quiet_seconds))
        response.__enter__()
        return Stream(response)

    def _send(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | None,
        read_seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds)
        try:
            return self._client.request(method, path, query, headers, body, timeout)
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(error) from error


class Stream:
    """An answer that goes on, as its lines."""

    def __init__(self, response: _Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with contextlib.closing(self._response):
            yield from self._response.lines()

    def break_off(self) -> None:
        """Makes who reads the lines find their end now; for another thread to call."""
        self._response.break_off()


class _Response:
    """An answer that is read once; as a context manager it gives its connection back, or closes it."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def __enter__(self) -> _Response:
        try:
            if self._response.status >= 400:
                raise _refused(self._response.status, self.body())
        except BaseException:
            self._response.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        # An unread rest means a watch that nobody follows any more: its connection can't be used again.
        if self._response.connection is not None:
            self._response.close()
        self._response.release_conn()

    def break_off(self) -> None:
        # Refused where nothing is read any more, and where the other side was faster.
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def body(self) -> bytes:
        try:
            return self._response.read()
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(error) from error

    def lines(self) -> Iterator[bytes]:
        rest = b""
        try:
            for chunk in self._response.stream(CHUNK_BYTES):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line for line in whole if line)
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(error) from error
        if rest:
            yield rest


class _StatusMessage(msgspec.Struct, frozen=True):
    """The part of a `Status` that says what went wrong."""

    message: str = ""
    reason: str = ""


def _refused(status: int, body: bytes) -> ApiError:
    try:
        told = msgspec.json.decode(body, type=_StatusMessage)
    except msgspec.DecodeError:
        told = _StatusMessage(message=body[:200].decode(errors="replace").strip())
    return ApiError(status, told.message or told.reason or f"HTTP status {status}")


def _unreachable(error: Exception) -> ApiError:
    cause = getattr(error, "reason", None) or error
    return ApiError(0, f"the API server can't be reached: {cause}")
