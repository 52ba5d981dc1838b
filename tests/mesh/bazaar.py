"""A bazaar with every kind of route that leads from a gateway to workloads.

people -> ingress gateway
            80 weights -> blue | green      80 mirror -> blue, and a copy -> shadow
            80 delegate -> annex/tail       443 vault (TLS that the gateway does not open) -> vault
            9000 (TCP) -> cord              8090 odd -> blue
            80 trunk -> attic/trunk, whose sidecar is of another revision's istiod
people -> lobby/front, which istiod deploys for a Gateway of the Gateway API -> desk, bazaar/blue
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.mesh.istio import ROOT
from tests.mesh.manifests import (
    Manifest,
    echo,
    fresh_connections,
    gateway,
    http_server,
    new_namespace,
    program,
    server,
    service,
    virtual_service,
)

if TYPE_CHECKING:
    from tests.mesh.certificates import KeyPair

BAZAAR, ANNEX, LOBBY, ATTIC = "bazaar", "annex", "lobby", "attic"
NAMESPACES = (BAZAAR, ANNEX, LOBBY, ATTIC)
REVISION = "canary"
WORKLOADS = (
    *((BAZAAR, app) for app in ("blue", "green", "shadow", "vault", "cord")),
    (ANNEX, "tail"),
    (LOBBY, "desk"),
    (ATTIC, "trunk"),
)
FRONT = "front"
TCP_PORT, ODD_PORT, VAULT_PORT = 9000, 8090, 8443
GATEWAY_API = "gateway.networking.k8s.io"


def host(name: str) -> str:
    """The host of one of the routes."""
    return f"{name}.bazaar.example.test"


def namespaces() -> list[Manifest]:
    """The namespaces; the attic's pods are injected by another revision."""
    enabled = {"istio-injection": "enabled"}
    labels = {BAZAAR: enabled, ANNEX: enabled, LOBBY: enabled, ATTIC: {"istio.io/rev": REVISION}}
    return [new_namespace(name, labels[name]) for name in NAMESPACES]


def manifests(vault: KeyPair) -> list[Manifest]:
    """All but the namespaces; `vault` is the certificate of the server that ends TLS itself."""
    return [*_workloads(vault), *_gateways(), *_http_routes(), *_other_routes(), *_gateway_api()]


def _workloads(vault: KeyPair) -> list[Manifest]:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "vault", "namespace": BAZAAR},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": vault.certificate, "tls.key": vault.key},
    }
    files = ("--certificate", "/vault/tls.crt", "--key", "/vault/tls.key")
    command = program("echo", "vault", "--https", VAULT_PORT, *files)
    ends_tls = server(BAZAAR, "vault", command, {"tls": (443, VAULT_PORT)}, mounts={"vault": "/vault"})
    others = [found for home, app in WORKLOADS if app != "vault" for found in echo(home, app)]
    return [*others, secret, *ends_tls, fresh_connections(BAZAAR, "vault")]


def _gateways() -> list[Manifest]:
    """One Gateway on the shared pods; a Service of their administrators offers its further ports."""
    passthrough = {
        "port": {"number": 443, "name": "tls", "protocol": "TLS"},
        "tls": {"mode": "PASSTHROUGH"},
        "hosts": [host("vault")],
    }
    tcp = {"port": {"number": TCP_PORT, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    names = ("weights", "mirror", "delegate", "trunk")
    servers = [http_server(80, *map(host, names)), passthrough, tcp, http_server(ODD_PORT, host("odd"))]
    further = service(ROOT, "further-ports", {"tcp": (TCP_PORT, TCP_PORT), "http-odd": (ODD_PORT, ODD_PORT)})
    further["spec"] |= {"type": "LoadBalancer", "selector": {"istio": "ingressgateway"}}
    return [gateway(BAZAAR, "public", servers), further]


def _http_routes() -> list[Manifest]:
    blue, green = _to("blue"), _to("green")
    weighted = [{**blue, "weight": 50}, {**green, "weight": 50}]
    mirrored = {"route": [blue], "mirrors": [{**_to("shadow"), "percentage": {"value": 100}}]}
    delegating = [{"match": [{"uri": {"prefix": "/"}}], "delegate": {"name": "tail", "namespace": ANNEX}}]
    tail = {"http": [{"route": [_to("tail")], "timeout": "3s"}]}
    return [
        _route(BAZAAR, "weights", [{"route": weighted, "timeout": "3s"}]),
        _route(BAZAAR, "mirror", [{**mirrored, "timeout": "3s"}]),
        _route(BAZAAR, "delegate", delegating),
        virtual_service(ANNEX, "tail", tail),
        _route(BAZAAR, "odd", [{"route": [blue], "timeout": "3s"}]),
        _route(ATTIC, "trunk", [{"route": [_to("trunk")], "timeout": "3s"}]),
    ]


def _other_routes() -> list[Manifest]:
    at_vault = {"match": [{"port": 443, "sniHosts": [host("vault")]}], "route": [_to("vault", 443)]}
    at_cord = {"match": [{"port": TCP_PORT}], "route": [_to("cord", 9000)]}
    return [
        virtual_service(
            BAZAAR, "vault", {"hosts": [host("vault")], "gateways": ["public"], "tls": [at_vault]}
        ),
        virtual_service(BAZAAR, "cord", {"hosts": ["*"], "gateways": ["public"], "tcp": [at_cord]}),
    ]


def _gateway_api() -> list[Manifest]:
    """A Gateway for which istiod makes a Deployment and a Service, and routes to both sides of a border."""
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    to_blue = {"name": "blue", "namespace": BAZAAR, "port": 80}
    grant = {
        "from": [{"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": LOBBY}],
        "to": [{"group": "", "kind": "Service", "name": "blue"}],
    }
    return [
        _kubernetes("Gateway", LOBBY, FRONT, {"gatewayClassName": "istio", "listeners": [listener]}),
        _http_route("desk", {"name": "desk", "port": 80}),
        _http_route("border", to_blue),
        _kubernetes("ReferenceGrant", BAZAAR, "lobby", grant, "v1beta1"),
    ]


def _to(name: str, port: int = 80) -> dict[str, Any]:
    return {"destination": {"host": name, "port": {"number": port}}}


def _route(namespace: str, name: str, http: list[dict[str, Any]]) -> Manifest:
    spec = {"hosts": [host(name)], "gateways": [f"{BAZAAR}/public"], "http": http}
    return virtual_service(namespace, name, spec)


def _http_route(name: str, backend: dict[str, Any]) -> Manifest:
    rule = {"backendRefs": [backend], "timeouts": {"request": "3s"}}
    spec = {"parentRefs": [{"name": FRONT}], "hostnames": [host(name)], "rules": [rule]}
    return _kubernetes("HTTPRoute", LOBBY, name, spec)


def _kubernetes(kind: str, namespace: str, name: str, spec: dict[str, Any], version: str = "v1") -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{GATEWAY_API}/{version}", "kind": kind, "metadata": metadata, "spec": spec}
