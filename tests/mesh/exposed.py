"""The handbook's httpbin in a namespace under a deny-all, and the gateway at which it is exposed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.mesh import handbook, outside
from tests.mesh.manifests import new_namespace
from tests.mesh.traffic import Answer, Outside, get

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

HANDBOOK = "my-virtualservice-namespace"
HOST = f"httpbin.{handbook.DOMAIN}"
CERTIFICATE = "kyma-gateway-certs"
GATEWAY_SERVICE = ("service", "istio-ingressgateway", "--namespace", "istio-system")


class Exposed:
    """httpbin in a namespace of another name than the handbook's."""

    def __init__(self, mesh: Mesh, mode: str) -> None:
        self._mesh = mesh
        self._mode = mode
        self.namespace = f"{HANDBOOK}-{mode}"

    @property
    def workload(self) -> list[dict[str, Any]]:
        """The namespace, its deny-all, and httpbin."""
        return self._objects("namespace.yaml") + self._objects("httpbin.yaml")

    @property
    def route(self) -> list[dict[str, Any]]:
        """The VirtualService."""
        return self._objects("virtual-service.yaml")

    @property
    def tokens(self) -> list[dict[str, Any]]:
        """What asks for tokens, and who may come in with one."""
        names = {HANDBOOK: self.namespace, handbook.KEYS: f"https://{outside.IDENTITY}{self.keys}"}
        return handbook.objects("request-authentication/before", names, self._mode)

    @property
    def keys(self) -> str:
        """The path of the keys: one of its own, as istiod keeps what it once got."""
        return f"/jwks.json?for={self._mode}"

    def get(self, headers: Mapping[str, str] | None = None) -> Answer:
        """What a person outside gets."""
        address = gateway_address(self._mesh)
        url = f"https://{HOST}/status/200"
        return get(self._mesh, Outside(), url, headers=headers, resolve={HOST: address}, timeout=40)

    def answers(self, status: int) -> bool:
        """Whether a person outside gets this status."""
        return self.get().status == status

    def get_with(self, token: str) -> Answer:
        return self.get({"Authorization": f"Bearer {token}"})

    def _objects(self, file: str) -> list[dict[str, Any]]:
        return handbook.objects(f"virtual-service/before/{file}", {HANDBOOK: self.namespace}, self._mode)


def gateway(mesh: Mesh) -> list[dict[str, Any]]:
    """Kyma's Gateway and its certificate."""
    pair = mesh.outside.authority.issue([f"*.{handbook.DOMAIN}"])
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CERTIFICATE, "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    }
    return [
        new_namespace("kyma-system"),
        secret,
        *handbook.objects("_control_plane/kyma-gateway.yaml", {}, "off"),
    ]


def gateway_address(mesh: Mesh) -> str:
    """Where the load balancer of the ingress gateway takes connections."""
    service = json.loads(mesh.kubectl("get", *GATEWAY_SERVICE, "--output", "json").stdout)
    address: str = service["status"]["loadBalancer"]["ingress"][0]["ip"]
    return address
