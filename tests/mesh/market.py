"""A market that uses every kind of connection that workloads, gateways and the outside of a mesh have.

people -> ingress gateway -> market/cart <-> depot/orders
                             market/cart -> api.example.test
market/cart's proxy -> guard/authorizer (for /guarded), guard/collector (spans)
istiod -> identity.example.test (keys for /private)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.mesh.manifests import (
    Manifest,
    echo,
    fresh_connections,
    gateway,
    http_server,
    istio,
    new_namespace,
    program,
    server,
    virtual_service,
)
from tests.mesh.outside import API, KEYS
from tests.mesh.traffic import Answer, Inside, Outside, get

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

MARKET, DEPOT, GUARD = "market", "depot", "guard"
NAMESPACES = (MARKET, DEPOT, GUARD)
HOST = "market.example.test"
CART, ORDERS = Inside(MARKET, "cart"), Inside(DEPOT, "orders")
INGRESS = ("istio-system", "istio-ingressgateway")

AUTHORIZER, COLLECTOR = 8000, 4318

PROVIDERS: list[Manifest] = [
    {
        "name": "authorizer",
        "envoyExtAuthzHttp": {
            "service": f"authorizer.{GUARD}.svc.cluster.local",
            "port": AUTHORIZER,
            "includeRequestHeadersInCheck": ["x-permit"],
        },
    },
    {
        "name": "collector",
        "opentelemetry": {
            "service": f"collector.{GUARD}.svc.cluster.local",
            "port": COLLECTOR,
            "http": {"path": "/v1/traces", "timeout": "5s"},
        },
    },
]
"""Extension providers, for the mesh config."""


def namespaces() -> list[Manifest]:
    """The market's namespaces; the guard's programs have no sidecars."""
    labels = {MARKET: {"istio-injection": "enabled"}, DEPOT: {"istio-injection": "enabled"}, GUARD: {}}
    return [new_namespace(name, labels[name]) for name in NAMESPACES]


def manifests(issuer: str) -> list[Manifest]:
    """All but the namespaces; `issuer` is whose tokens /private asks for."""
    return [*_workloads(), *_routes(), *_guards(issuer)]


def _workloads() -> list[Manifest]:
    ask, collect = program("authorizer", "--port", AUTHORIZER), program("collector", "--port", COLLECTOR)
    return [
        *echo(MARKET, "cart", annotations=_agreement(calls="depot/orders:80", called_by="depot/orders")),
        *echo(DEPOT, "orders", annotations=_agreement(calls="market/cart:80", called_by="market/cart")),
        *server(GUARD, "authorizer", ask, {"http": (AUTHORIZER, AUTHORIZER)}),
        fresh_connections(GUARD, "authorizer"),
        *server(GUARD, "collector", collect, {"http": (COLLECTOR, COLLECTOR)}),
        fresh_connections(GUARD, "collector"),
    ]


def _agreement(calls: str, called_by: str) -> Mapping[str, str]:
    return {"istio-netpol.io/calls": calls, "istio-netpol.io/called-by": called_by}


def _routes() -> list[Manifest]:
    route = {"destination": {"host": "cart", "port": {"number": 80}}}
    ports = ((80, "http", "HTTP"), (443, "tls", "TLS"), (9000, "tcp", "TCP"))
    return [
        gateway(MARKET, "public", [http_server(80, HOST)]),
        virtual_service(
            MARKET,
            "cart",
            {"hosts": [HOST], "gateways": ["public"], "http": [{"route": [route], "timeout": "3s"}]},
        ),
        istio(
            "ServiceEntry",
            MARKET,
            "api",
            {
                "hosts": [API],
                "ports": [{"number": port, "name": name, "protocol": kind} for port, name, kind in ports],
                "resolution": "DNS",
                "location": "MESH_EXTERNAL",
            },
        ),
        fresh_connections(MARKET, "api", API),
    ]


def _guards(issuer: str) -> list[Manifest]:
    cart = {"selector": {"matchLabels": {"app": "cart"}}}
    at = {"to": [{"operation": {"paths": ["/private"]}}]}
    nobody = {"from": [{"source": {"notRequestPrincipals": ["*"]}}]}
    guarded = {"to": [{"operation": {"paths": ["/guarded"]}}]}
    provider = {"provider": {"name": "authorizer"}}
    tracing = [{"providers": [{"name": "collector"}], "randomSamplingPercentage": 100}]
    return [
        istio(
            "RequestAuthentication",
            MARKET,
            "tokens",
            {**cart, "jwtRules": [{"issuer": issuer, "jwksUri": KEYS}]},
        ),
        istio(
            "AuthorizationPolicy", MARKET, "private", {**cart, "action": "DENY", "rules": [{**at, **nobody}]}
        ),
        istio(
            "AuthorizationPolicy",
            MARKET,
            "guarded",
            {**cart, "action": "CUSTOM", **provider, "rules": [guarded]},
        ),
        istio("Telemetry", MARKET, "spans", {"tracing": tracing}),
    ]


def visit(mesh: Mesh, path: str = "/", timeout: float = 20.0, **headers: str) -> Answer:
    """What a person outside gets; `x_permit` is the header `x-permit`."""
    address = mesh.load_balancer(*INGRESS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return get(
        mesh, Outside(), f"http://{HOST}{path}", headers=named, resolve={HOST: address}, timeout=timeout
    )


def spans(mesh: Mesh) -> list[dict[str, Any]]:
    """What the collector received."""
    lines = mesh.logs(GUARD, "collector", "app").splitlines()
    return [json.loads(line) for line in lines if '"span"' in line]
