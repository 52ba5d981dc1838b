"""A connection to one API server: configuration, authentication and TLS of the official client, bodies as
bytes.

The client's models are left aside. They hold objects whole and typed, and what this program keeps of tens of
thousands of pods is a few fields of each.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import urllib3
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from istio_netpol import __version__
from istio_netpol.errors import ApiError, SettingsError

JSON = "application/json"
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CHUNK_BYTES = 1 << 16
CONNECTIONS = 64
"""How many are kept open: one for each watch, and some for reviews."""

Query = Sequence[tuple[str, str]]


class ApiConnection:
    """Requests by path; every method may be called from any thread and raises ApiError."""

    def __init__(self, client: ApiClient, may_write: Callable[[], bool] = lambda: True) -> None:
        client.user_agent = f"istio-netpol/{__version__}"
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
        configuration = Configuration()
        try:
            if context or kubeconfig or _has_kubeconfig():
                load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=str(kubeconfig) if kubeconfig else None,
                    context=context or None,
                    client_configuration=configuration,
                )
            else:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise SettingsError(
                f"no cluster to talk to: {str(error).rstrip('.')}; "
                "set KUBECONFIG, name a --context, or run in a pod"
            ) from None
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.retries = urllib3.Retry(0)
        # A machine that is gone without a word is noticed within 30 seconds, before a watch counts as silent.
        configuration.socket_options = tcp_keepalive_socket_options(idle=15, interval=5, count=3)
        return cls(ApiClient(configuration))

    @property
    def address(self) -> str:
        """Where the API server is, for logs."""
        return str(self._client.configuration.host)

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
    ) -> Any:
        serialized = self._client.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params=dict(headers),
            auth_settings=["BearerToken"],
        )
        url, all_headers = serialized[1], serialized[2]
        # The generated client would turn a JSON body into text once more: bytes go straight to its pool.
        try:
            return self._client.rest_client.pool_manager.request(
                method,
                url,
                headers=all_headers,
                body=body,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, ApiException) as error:
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


def _has_kubeconfig() -> bool:
    named = os.environ.get("KUBECONFIG")
    return bool(named) or (Path.home() / ".kube" / "config").is_file()
