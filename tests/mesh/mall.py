"""A mall of configurations that lead connections where their objects don't say so at first sight.

client -> headless (its own port)        client -> api.example.test (by the egress gateway)
client -> named (one name, two numbers)  client -> static.example.test:8081 (an address, port 80)
people -> ingress gateway -> shelf (headless, 80 for 8080)
          ingress gateway -> authorizer (for /guarded)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.mesh.manifests import (
    Manifest,
    client,
    fresh_connections,
    gateway,
    http_server,
    istio,
    new_namespace,
    program,
    server,
    service,
    virtual_service,
    workload,
)
from tests.mesh.outside import API
from tests.mesh.topology import OUTSIDE_API
from tests.mesh.traffic import Answer, Inside, Outside, get

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

MALL = "mall"
CLIENT = Inside(MALL, "client")
APPS = ("client", "headless", "named-1", "named-2", "shelf", "egress", "collector", "authorizer")
SHELF = "shelf.example.test"
STATIC = "static.example.test"
ZIPKIN, AUTHORIZER = 9411, 8000
INGRESS = ("istio-system", "istio-ingressgateway")
EGRESS = {"istio": "egressgateway"}
WITHOUT_SIDECAR = {"sidecar.istio.io/inject": "false"}

PROVIDERS: list[Manifest] = [
    {"name": "zipkin", "zipkin": {"service": f"collector.{MALL}.svc.cluster.local", "port": ZIPKIN}},
    {
        "name": "doorman",
        "envoyExtAuthzHttp": {
            "service": f"authorizer.{MALL}.svc.cluster.local",
            "port": AUTHORIZER,
            "includeRequestHeadersInCheck": ["x-permit"],
        },
    },
]
"""Extension providers, for the mesh config."""


def namespace() -> Manifest:
    return new_namespace(MALL, {"istio-injection": "enabled"})


def manifests() -> list[Manifest]:
    """All that the namespace holds."""
    return [
        *_clients(),
        *_headless(),
        *_named(),
        *_static(),
        *_by_egress_gateway(),
        *_traced(),
        *_authorizer(),
    ]


def of_the_gateway() -> Manifest:
    """What the ingress gateway asks the authorizer, in the gateway's own namespace."""
    spec = {
        "selector": {"matchLabels": {"istio": "ingressgateway"}},
        "action": "CUSTOM",
        "provider": {"name": "doorman"},
        "rules": [{"to": [{"operation": {"hosts": [SHELF], "paths": ["/guarded"]}}]}],
    }
    return istio("AuthorizationPolicy", "istio-system", "mall", spec)


def _clients() -> list[Manifest]:
    calls = {"istio-netpol.io/calls": "headless:8080, named:80"}
    return client(MALL, "client", annotations=calls)


def _echo(app: str, port: int, **labels: str) -> list[Manifest]:
    return [*workload(MALL, app, program("echo", app, "--http", port), {"http": port}, labels=labels)]


def _headless() -> list[Manifest]:
    """Pods that clients dial themselves, on the port they listen on; gateways know them by the Service's."""
    route = {"destination": {"host": "shelf", "port": {"number": 80}}}
    return [
        *_echo("headless", 8080),
        service(MALL, "headless", {"http": (8080, 8080)}, headless=True),
        fresh_connections(MALL, "headless"),
        *_echo("shelf", 8080),
        service(MALL, "shelf", {"http": (80, 8080)}, headless=True),
        fresh_connections(MALL, "shelf"),
        gateway(MALL, "public", [http_server(80, SHELF)]),
        virtual_service(
            MALL, "shelf", {"hosts": [SHELF], "gateways": ["public"], "http": [{"route": [route]}]}
        ),
    ]


def _named() -> list[Manifest]:
    """One Service, whose targetPort is another number in each of its Deployments."""
    return [
        *_echo("named-1", 8080, behind="named"),
        *_echo("named-2", 8081, behind="named"),
        service(MALL, "named", {"http": (80, "http")}, selector={"behind": "named"}),
        fresh_connections(MALL, "named"),
    ]


def _static() -> list[Manifest]:
    spec = {
        "hosts": [STATIC],
        "ports": [{"number": 8081, "targetPort": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "location": "MESH_EXTERNAL",
        "endpoints": [{"address": OUTSIDE_API}],
    }
    return [istio("ServiceEntry", MALL, "static", spec), fresh_connections(MALL, "static", STATIC)]


def _by_egress_gateway() -> list[Manifest]:
    to_gateway = {"host": f"egress.{MALL}.svc.cluster.local", "port": {"number": 80}}
    http = [
        {"match": [{"gateways": ["mesh"], "port": 80}], "route": [{"destination": to_gateway}]},
        {
            "match": [{"gateways": ["egress"], "port": 80}],
            "route": [{"destination": {"host": API, "port": {"number": 80}}}],
        },
    ]
    entry = {
        "hosts": [API],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "DNS",
        "location": "MESH_EXTERNAL",
    }
    return [
        *_egress_gateway(),
        fresh_connections(MALL, "egress"),
        istio("ServiceEntry", MALL, "api", entry),
        fresh_connections(MALL, "api", API),
        gateway(MALL, "egress", [http_server(80, API)], EGRESS),
        virtual_service(MALL, "api", {"hosts": [API], "gateways": ["mesh", "egress"], "http": http}),
    ]


def _egress_gateway() -> list[Manifest]:
    """A gateway whose only container is the injected proxy, which listens on 8080 for the Service's 80."""
    account, deployment = workload(
        MALL,
        "egress",
        [],
        {},
        labels={**EGRESS, "sidecar.istio.io/inject": "true"},
        annotations={"inject.istio.io/templates": "gateway"},
    )
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"] = [{"name": "istio-proxy", "image": "auto"}]
    return [account, deployment, service(MALL, "egress", {"http": (80, 8080)})]


def _authorizer() -> list[Manifest]:
    ask = program("authorizer", "--port", AUTHORIZER)
    ports = {"http": (AUTHORIZER, AUTHORIZER)}
    return [
        *server(MALL, "authorizer", ask, ports, labels=WITHOUT_SIDECAR),
        fresh_connections(MALL, "authorizer"),
    ]


def _traced() -> list[Manifest]:
    collect = program("collector", "--port", ZIPKIN)
    tracing = [{"providers": [{"name": "zipkin"}], "randomSamplingPercentage": 100}]
    return [
        *server(MALL, "collector", collect, {"http": (ZIPKIN, ZIPKIN)}, labels=WITHOUT_SIDECAR),
        fresh_connections(MALL, "collector"),
        istio("Telemetry", MALL, "spans", {"tracing": tracing}),
    ]


def headless(mesh: Mesh) -> Answer:
    return get(mesh, CLIENT, f"http://headless.{MALL}.svc.cluster.local:8080/")


def shelf(mesh: Mesh) -> Answer:
    return _visit(mesh, "/")


def guarded_shelf(mesh: Mesh) -> Answer:
    return _visit(mesh, "/guarded")


def _visit(mesh: Mesh, path: str) -> Answer:
    address = mesh.load_balancer(*INGRESS)
    permit = {"x-permit": "yes"}
    return get(mesh, Outside(), f"http://{SHELF}{path}", headers=permit, resolve={SHELF: address})


def named(mesh: Mesh) -> Answer:
    return get(mesh, CLIENT, f"http://named.{MALL}.svc.cluster.local/")


def static(mesh: Mesh) -> Answer:
    return get(mesh, CLIENT, f"http://{STATIC}:8081/", resolve={STATIC: OUTSIDE_API})


def by_egress_gateway(mesh: Mesh) -> Answer:
    return get(mesh, CLIENT, f"http://{API}/")


def spans(mesh: Mesh) -> list[dict[str, Any]]:
    """What the collector received."""
    lines = mesh.logs(MALL, "collector", "app").splitlines()
    return [json.loads(line) for line in lines if '"span"' in line]
