"""Where routes of the mesh send what a sidecar's workload calls, and what is left to the host itself."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from msgspec.structs import replace
from tests.istio.outcomes import findings, flows, line, outcomes

from istio_netpol.istio.mesh_routes import MOST_UNHEEDED
from istio_netpol.istio.rules import declared_calls, gateway_to_workload, service_entry, sidecar_egress
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.istio_networking import ServiceEntry, Sidecar, VirtualService
from istio_netpol.model.workloads import Workload

BASE = """
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: caller, namespace: team, annotations: {istio-netpol.io/calls: "books"}}
spec:
  selector: {matchLabels: {app: caller}}
  template:
    metadata: {labels: {app: caller, tier: web}}
    spec: {containers: [{name: c, image: c}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: books, namespace: team}
spec:
  selector: {matchLabels: {app: books}}
  template:
    metadata: {labels: {app: books, version: v1}}
    spec: {containers: [{name: c, image: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shelf, namespace: team}
spec:
  selector: {matchLabels: {app: shelf}}
  template:
    metadata: {labels: {app: shelf}}
    spec: {containers: [{name: c, image: c}]}
---
apiVersion: v1
kind: Service
metadata: {name: shelf, namespace: team}
spec: {selector: {app: shelf}, ports: [{name: http, port: 80, targetPort: 9090}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: team}
spec: {host: books, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""
BOOKS, SHELF = "team/caller -> team/books TCP 8080", "team/caller -> team/shelf TCP 9090"
TO_BOOKS: dict[str, Any] = {"destination": {"host": "books"}}
TO_SHELF: dict[str, Any] = {"destination": {"host": "shelf"}}


def decoded(*documents: dict[str, Any]) -> list[Any]:
    text = "\n---\n".join([BASE, *map(yaml.safe_dump, documents)])
    found = load(read_documents(text.encode(), "mesh.yaml"), "default")
    assert not found.problems
    return list(found.objects)


def books(**port: Any) -> dict[str, Any]:
    """The Service, whose one port says what it speaks."""
    ports = [{"port": 80, "targetPort": 8080, **port}]
    metadata = {"name": "books", "namespace": "team"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": "books"}, "ports": ports},
    }


def routing(name: str = "books", hosts: tuple[str, ...] = ("books",), **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team"}
    whole = {"hosts": list(hosts), **spec}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": whole,
    }


def called(*documents: dict[str, Any]) -> list[str]:
    """What the caller connects to."""
    objects = decoded(*documents)
    (caller,) = (
        resource for resource in objects if isinstance(resource, Workload) and resource.name == "caller"
    )
    return flows(declared_calls.RULE, caller, *(resource for resource in objects if resource is not caller))


HTTP: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([{"route": [TO_SHELF]}], [SHELF]),
    ([{"route": [{**TO_SHELF, "weight": 0}]}], [SHELF]),
    ([{"route": [{**TO_SHELF, "weight": 100}, {**TO_BOOKS, "weight": 0}]}], [SHELF]),
    ([{"route": [{**TO_SHELF, "weight": 100}, TO_BOOKS]}], [SHELF]),
    ([{"route": [{**TO_SHELF, "weight": 50}, {**TO_BOOKS, "weight": 50}]}], [BOOKS, SHELF]),
    ([{"route": [{**TO_SHELF, "weight": 0}, {**TO_BOOKS, "weight": 100}]}], [BOOKS]),
    ([{"match": [{"uri": {"prefix": "/old"}}], "route": [TO_SHELF]}], [BOOKS, SHELF]),
    ([{"match": [{"uri": {"prefix": "/"}}], "route": [TO_SHELF]}], [SHELF]),
    ([{"match": [{"headers": {"x": {"exact": "y"}}}, {"port": 80}], "route": [TO_SHELF]}], [SHELF]),
    ([{"match": [{"port": 81}], "route": [TO_SHELF]}], [BOOKS]),
    ([{"match": [{"gateways": ["front"]}], "route": [TO_SHELF]}], [BOOKS]),
    ([{"match": [{"sourceLabels": {"tier": "web"}}], "route": [TO_SHELF]}], [SHELF]),
    ([{"match": [{"sourceLabels": {"tier": "db"}}], "route": [TO_SHELF]}], [BOOKS]),
    ([{"match": [{"sourceNamespace": "team"}], "route": [TO_SHELF]}], [SHELF]),
    ([{"match": [{"sourceNamespace": "other"}], "route": [TO_SHELF]}], [BOOKS]),
    ([{"match": [{"uri": {"exact": "/a"}}], "route": [TO_SHELF]}, {"route": [TO_BOOKS]}], [BOOKS, SHELF]),
    ([{"route": [TO_SHELF]}, {"route": [TO_BOOKS]}], [SHELF]),
    ([{"redirect": {"authority": "shelf"}}], []),
    ([{"directResponse": {"status": 503}}], []),
    ([{"match": [{"uri": {"exact": "/a"}}], "redirect": {"uri": "/b"}}], [BOOKS]),
    ([{"route": [TO_SHELF], "mirror": {"host": "books"}}], [BOOKS, SHELF]),
    ([{"route": [TO_SHELF], "mirror": {"host": "books"}, "mirrorPercentage": {"value": 0}}], [SHELF]),
    ([{"route": [TO_SHELF], "mirror": {"host": "books"}, "mirrorPercent": 0}], [SHELF]),
    ([{"route": [TO_SHELF], "mirrors": [{**TO_BOOKS, "percentage": {"value": 0}}]}], [SHELF]),
    ([{"route": [TO_SHELF], "mirrors": [{**TO_BOOKS, "percentage": {"value": 1}}]}], [BOOKS, SHELF]),
    ([{"route": [{"destination": {"host": "books", "subset": "v1"}}]}], [BOOKS]),
    ([{"route": [{"destination": {"host": "books", "subset": "v2"}}]}], []),
    ([{"route": [{"destination": {"host": "gone"}}]}], []),
    ([{"route": [{"destination": {"host": "shelf", "port": {"number": 999}}}]}], []),
    ([{"delegate": {"name": "inner"}}], [SHELF]),
    ([{"match": [{"uri": {"prefix": "/old"}}], "delegate": {"name": "inner"}}], [BOOKS, SHELF]),
    ([{"delegate": {"name": "gone"}}], [BOOKS]),
    ([], [BOOKS]),
]


@pytest.mark.parametrize(("http", "expected"), HTTP)
def test_what_is_sent_elsewhere_is_not_called(http: list[dict[str, Any]], expected: list[str]) -> None:
    """Routes that leave something to the host itself leave the connection to it."""
    inner = {**routing("inner", http=[{"route": [TO_SHELF]}])}
    del inner["spec"]["hosts"]
    assert called(books(name="http"), routing(http=http), inner) == expected


@pytest.mark.parametrize(
    ("port", "protocol", "match", "expected"),
    [
        ({"name": "http"}, "http", {}, [SHELF]),
        ({"name": "grpc-web-api"}, "http", {}, [SHELF]),
        ({"name": "web", "appProtocol": "http2"}, "http", {}, [SHELF]),
        ({"name": "http", "appProtocol": "tcp"}, "http", {}, [BOOKS]),
        ({"name": "tcp-books"}, "tcp", {}, [SHELF]),
        ({"name": "tcp-books"}, "http", {}, [BOOKS]),
        ({"name": "http"}, "tcp", {}, [BOOKS]),
        ({"name": "tls"}, "tls", {"sniHosts": ["books.team.svc.cluster.local"]}, [SHELF]),
        ({"name": "https"}, "tls", {"sniHosts": ["*.team.svc.cluster.local"]}, [SHELF]),
        ({"name": "tls"}, "tls", {"sniHosts": ["other.example.com"]}, [BOOKS]),
        ({"name": "tls"}, "tcp", {}, [SHELF]),
        ({"name": "tcp"}, "tcp", {"destinationSubnets": ["10.0.0.0/8"]}, [BOOKS, SHELF]),
        ({}, "http", {}, [BOOKS, SHELF]),
    ],
)
def test_routes_hold_for_ports_of_their_protocol(
    port: dict[str, Any], protocol: str, match: dict[str, Any], expected: list[str]
) -> None:
    """Of a port that does not say what it speaks, either may hold."""
    route = {"match": [match], "route": [TO_SHELF]} if match else {"route": [TO_SHELF]}
    assert called(books(**port), routing(**{protocol: [route]})) == expected


def test_one_of_several_routings_counts_and_nothing_tells_which() -> None:
    """The older one wins in Istio; manifests have no age."""
    whole, partial = (
        routing("whole", http=[{"route": [TO_SHELF]}]),
        routing(
            "some",
            ("books.team.svc.cluster.local",),
            http=[{"match": [{"uri": {"exact": "/"}}], "route": [TO_SHELF]}],
        ),
    )
    assert called(books(name="http"), whole) == [SHELF]
    assert called(books(name="http"), whole, partial) == [BOOKS, SHELF]


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ([{"route": [TO_SHELF]}], [SHELF]),
        ([{"match": [{"uri": {"prefix": "/old"}}], "route": [TO_SHELF]}], [BOOKS, SHELF]),
        ([{"directResponse": {"status": 503}}], []),
        ([], [BOOKS]),
    ],
)
@pytest.mark.parametrize("port", [{}, {"port": {"number": 80, "name": "http", "protocol": "HTTP"}}])
def test_hosts_of_a_sidecar_are_called_as_routes_lead(
    http: list[dict[str, Any]], expected: list[str], port: dict[str, Any]
) -> None:
    """Whoever names the host in a Sidecar calls what its sidecar connects to."""
    sidecar = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": "caller", "namespace": "team"},
        "spec": {
            "workloadSelector": {"labels": {"app": "caller"}},
            "egress": [{**port, "hosts": ["./books.team.svc.cluster.local"]}],
        },
    }
    objects = decoded(books(name="http"), routing(http=http), sidecar)
    (subject,) = (resource for resource in objects if isinstance(resource, Sidecar))
    assert (
        flows(sidecar_egress.RULE, subject, *(resource for resource in objects if resource is not subject))
        == expected
    )


def test_a_call_of_all_ports_is_unknown_only_where_none_answers() -> None:
    """A port without pods beside one that has some is no reason to doubt the name."""
    two = books(name="http")
    two["spec"]["ports"] += [{"name": "tcp-odd", "port": 81, "targetPort": "odd"}]
    objects = decoded(two)
    (caller,) = (
        resource for resource in objects if isinstance(resource, Workload) and resource.name == "caller"
    )
    assert (
        findings(declared_calls.RULE, caller, *(resource for resource in objects if resource is not caller))
        == []
    )


def test_pods_without_a_sidecar_follow_no_route() -> None:
    """They call whom they name."""
    objects = decoded(books(name="http"), routing(http=[{"route": [TO_SHELF]}]))
    (caller,) = (
        resource for resource in objects if isinstance(resource, Workload) and resource.name == "caller"
    )
    bare = replace(caller, labels={**caller.labels, "sidecar.istio.io/inject": "false"})
    assert flows(
        declared_calls.RULE, bare, *(resource for resource in objects if resource is not caller)
    ) == [BOOKS]


def told(routes: dict[str, Any], *documents: dict[str, Any]) -> list[str]:
    """What is found of a VirtualService."""
    objects = decoded(books(name="http"), routes, *documents)
    name = routes["metadata"]["name"]
    (subject,) = (
        resource for resource in objects if isinstance(resource, VirtualService) and resource.ref.name == name
    )
    return findings(
        gateway_to_workload.RULE, subject, *(resource for resource in objects if resource is not subject)
    )


@pytest.mark.parametrize(
    ("protocol", "destination", "said"),
    [
        (
            "http",
            {"host": "gone"},
            "there is no Service or ServiceEntry with the host gone",
        ),
        ("tcp", {"host": "gone"}, "there is no Service or ServiceEntry with the host gone"),
        ("http", {"host": "shelf.team"}, "Istio takes a host with a dot for one in full"),
        (
            "http",
            {"host": "shelf", "port": {"number": 999}},
            "Service team/shelf has no port 999",
        ),
        ("http", {"host": "books", "subset": "v3"}, "no DestinationRule defines subset v3"),
        ("http", {"host": "books", "subset": "v2"}, "subset v2 of Service team/books selects no pods"),
    ],
)
def test_a_route_of_the_mesh_that_leads_nowhere_is_told(
    protocol: str, destination: dict[str, Any], said: str
) -> None:
    """Envoy answers 503, whoever calls."""
    (found,) = told(routing(**{protocol: [{"route": [{"destination": destination}]}]}))
    assert found.startswith(
        f"unknown-destination warning: VirtualService team/books: spec.{protocol}[0].route[0]."
    )
    assert said in found


def test_what_gets_no_requests_is_not_looked_for() -> None:
    """A destination of weight 0 may be yet to come."""
    route = [{**TO_SHELF, "weight": 100}, {"destination": {"host": "gone"}, "weight": 0}]
    assert told(routing(http=[{"route": route}])) == []


def test_without_a_port_the_one_counts_that_was_called() -> None:
    """A destination with several ports is reached on that of the host; nobody knows it of a host that is not
    there."""
    several = books(name="http")
    several["metadata"]["name"] = "several"
    several["spec"]["ports"] += [{"name": "other", "port": 81}]
    route = [{"route": [{"destination": {"host": "several"}}]}]
    assert told(routing(http=route), several) == []
    assert told(routing("lost", ("lost.example.com",), http=route), several) == []
    several["spec"]["ports"][0]["port"] = 82
    (found,) = told(routing(http=route), several)
    assert "no port is named, and Service team/several has several or none" in found


def test_a_missing_delegate_is_told() -> None:
    (found,) = told(routing(http=[{"delegate": {"name": "gone"}}]))
    assert "there is no VirtualService team/gone to delegate to" in found


ENTRY: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "api", "namespace": "team"},
    "spec": {
        "hosts": ["api.example.com"],
        "resolution": "DNS",
        "ports": [
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": 443, "name": "tls", "protocol": "TLS"},
        ],
    },
}


def added(entry: dict[str, Any], *documents: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What the caller connects to for a ServiceEntry, and what is found of it."""
    objects = decoded(entry, *documents)
    (subject,) = (resource for resource in objects if isinstance(resource, ServiceEntry))
    found = outcomes(
        service_entry.RULE, subject, *(resource for resource in objects if resource is not subject)
    )
    lines = [line(outcome) for outcome in found if isinstance(outcome, RequiredFlow)]
    ours = sorted({text for text in lines if text.startswith("team/caller ")})
    return ours, [outcome.message for outcome in found if not isinstance(outcome, RequiredFlow)]


def test_a_route_takes_the_ports_of_its_protocol_from_the_host() -> None:
    """What is sent to an egress gateway for one port goes out directly for the other."""
    direct = ["team/caller -> api.example.com TCP 443", "team/caller -> api.example.com TCP 80"]
    assert added(ENTRY)[0] == direct
    http = routing("api", ("api.example.com",), http=[{"route": [TO_SHELF]}])
    assert added(ENTRY, http)[0] == [direct[0], SHELF]
    split = [{**TO_SHELF, "weight": 50}, {"destination": {"host": "api.example.com"}, "weight": 50}]
    assert added(ENTRY, routing("api", ("api.example.com",), http=[{"route": split}]))[0] == [*direct, SHELF]


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"hosts": ["a.example.com", "*.example.org"], "resolution": "NONE"}, ["*.example.org"]),
        ({"hosts": ["*.example.com", "b.example.org", "*.example.net"]}, ["*.example.com, *.example.net"]),
        ({"hosts": ["*.example.org"], "resolution": "NONE"}, ["*.example.org"]),
        ({"hosts": ["a.example.com", "b.example.com"]}, []),
        (
            {
                "hosts": ["a.example.com", "*.example.org"],
                "endpoints": [{"address": "192.0.2.1"}],
                "resolution": "STATIC",
            },
            [],
        ),
        (
            {
                "hosts": ["a.example.com", "*.example.org"],
                "addresses": ["192.0.2.0/24"],
                "resolution": "NONE",
            },
            [],
        ),
    ],
)
def test_a_wildcard_among_hosts_is_named(spec: dict[str, Any], named: list[str]) -> None:
    """Beside hosts that are opened it stands for no address, all the same."""
    _, said = added({**ENTRY, "spec": {**ENTRY["spec"], **spec}})
    assert [sentence.partition(" with resolution ")[0] for sentence in said] == [
        f"ServiceEntry team/api: spec.hosts: {hosts}" for hosts in named
    ]


FOREIGN: list[tuple[dict[str, Any], int]] = [
    ({"http": [{"route": [TO_SHELF]}]}, MOST_UNHEEDED),
    ({"http": [{"delegate": {"name": "gone"}}]}, MOST_UNHEEDED),
    ({"http": [{"redirect": {"authority": "shelf"}}]}, 0),
    ({"http": [{"match": [{"gateways": ["front"]}], "route": [TO_SHELF]}]}, 0),
    ({"http": [{"route": [TO_SHELF]}], "gateways": ["front"]}, 0),
]
"""What other tenants write, and how much of it is told."""


@pytest.mark.parametrize(("spec", "count"), FOREIGN)
def test_however_much_others_route_a_call_is_judged(spec: dict[str, Any], count: int) -> None:
    """Whoever calls a host has a limit of its own, which others must not use up: the first are told."""
    host = "books.team.svc.cluster.local"
    foreign = [routing(f"other-{number}", (host,), **spec) for number in range(12)]
    for document in foreign:
        document["metadata"]["namespace"] = "others"
    objects = decoded(books(name="http"), *foreign)
    (caller,) = (
        resource for resource in objects if isinstance(resource, Workload) and resource.name == "caller"
    )
    others = [resource for resource in objects if resource is not caller]
    assert flows(declared_calls.RULE, caller, *others) == [BOOKS]
    told = findings(declared_calls.RULE, caller, *others)
    assert len(told) == count
    assert all("VirtualService others/other-" in sentence for sentence in told)
