"""Decodes the addresses that containers are told to dial for the API server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from istio_netpol.manifests.fields import Fields
from istio_netpol.model.addresses import Address, parse_address
from istio_netpol.model.connections import parse_port
from istio_netpol.model.workloads import DialledApiServer
from istio_netpol.platforms.environments import AKS_HOST_ANNOTATION

_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
_SET_BY_AKS_ALONE = "KUBERNETES_PORT_443_TCP_ADDR"
"""AKS sets this one as well (Azure/application-gateway-kubernetes-ingress#285), Gardener does not."""

_AKS_DOMAIN = ".azmk8s.io"
_DEFAULT_PORT = 443
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")


def dialled_api_servers(
    containers: Iterable[Fields], annotations: Mapping[str, str]
) -> tuple[DialledApiServer, ...]:
    """What the containers of a pod dial, sorted; containers that are told nothing usable are left out."""
    found = set()
    for container in containers:
        if "env" in container.content:
            variables = {
                variable.text("name"): variable.text("value")
                for variable in container.mappings("env")
                if variable.text("name").startswith("KUBERNETES_") and variable.has("value")
            }
            found |= set(_dialled(variables, AKS_HOST_ANNOTATION in annotations))
    return _shared(tuple(sorted(found)))


def _dialled(variables: Mapping[str, str], is_asked_for: bool) -> Iterable[DialledApiServer]:
    host = variables.get(_HOST, "").strip().strip("[]").rstrip(".").lower()
    port = parse_port(variables.get(_PORT, "")) if variables.get(_PORT) else _DEFAULT_PORT
    address = parse_address(host) if "%" not in host else None
    is_name = _NAME.fullmatch(host) is not None and not host.replace(".", "").isdigit()
    if port is None or not (address or is_name) or _is_within_the_pod(host, address):
        return
    is_of_aks = is_asked_for or _SET_BY_AKS_ALONE in variables or host.endswith(_AKS_DOMAIN)
    yield DialledApiServer(str(address) if address else host, port, is_of_aks)


def _is_within_the_pod(host: str, address: Address | None) -> bool:
    """Whether packets to it never leave the pod, so that no policy sees them."""
    return host == "localhost" or (address is not None and address.is_loopback)


@lru_cache(maxsize=1024)
def _shared(dialled: tuple[DialledApiServer, ...]) -> tuple[DialledApiServer, ...]:
    """One shared value for all pods that are told the same: on Gardener, every pod of the cluster."""
    return dialled
