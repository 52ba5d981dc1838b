"""The official client of Kubernetes: kubeconfigs, authentication and TLS.

Its import takes half a second, which the help of a command can do without: only `ApiConnection.open` imports
this module.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import urllib3
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from istio_netpol import __version__
from istio_netpol.errors import ApiError, SettingsError
from istio_netpol.kube.kubeconfig import home_file

CONNECTIONS = 64
"""How many are kept open: one for each watch, and some for reviews."""


class KubernetesClient:
    """Sends requests with the credentials of a client; every method may be called from any thread."""

    def __init__(self, client: ApiClient) -> None:
        client.user_agent = f"istio-netpol/{__version__}"
        self._client = client

    @classmethod
    def open(cls, context: str, kubeconfig: Path | None) -> KubernetesClient:
        """The client of a kubeconfig's context, else of the cluster that this pod runs in. Raises
        SettingsError.

        As kubectl does it, a kubeconfig goes before the pod's own service account.
        """
        configuration = Configuration()
        try:
            if context or kubeconfig or _has_kubeconfig():
                _load(configuration, context, kubeconfig)
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
        """Where the API server is."""
        return str(self._client.configuration.host)

    def request(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: urllib3.Timeout,
    ) -> urllib3.BaseHTTPResponse:
        """The response, of which nothing but its head was read. Raises urllib3's HTTPError, and ApiError
        where credentials can't be renewed."""
        try:
            serialized = self._client.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params=dict(headers),
                auth_settings=["BearerToken"],
            )
        except ApiException as error:
            raise ApiError(0, f"the API server can't be reached: {error.reason or error}") from error
        # The generated client would turn a JSON body into text once more: bytes go straight to its pool.
        response: urllib3.BaseHTTPResponse = self._client.rest_client.pool_manager.request(
            method, serialized[1], headers=serialized[2], body=body, timeout=timeout, preload_content=False
        )
        return response


def _load(configuration: Configuration, context: str, kubeconfig: Path | None) -> None:
    """Takes a kubeconfig's context. The library only logs that the program for its credentials failed, and
    goes on without any: here it is an error, as it is with kubectl."""
    complaints = _Complaints()
    root = logging.getLogger()
    root.addHandler(complaints)
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(kubeconfig) if kubeconfig else None,
            context=context or None,
            client_configuration=configuration,
        )
    finally:
        root.removeHandler(complaints)
    if complaints.sentences:
        raise SettingsError(
            f"no credentials for the cluster: {'; '.join(complaints.sentences)}; the program that the "
            "kubeconfig names at users[].user.exec has to run, as it has to for kubectl"
        )


class _Complaints(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


def _has_kubeconfig() -> bool:
    home = home_file()
    return bool(os.environ.get("KUBECONFIG")) or (home is not None and os.path.isfile(home))
