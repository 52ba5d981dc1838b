"""What one object may ask of everybody: each heavy object is reviewed, stored and taken into the table of a
namespace of 60 workloads that a deny-all isolates.

An answer should cost at most 250 ms of processor time, taking it in a second and 50 MiB, however much the
object asks for.
"""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from benchmarks import synthetic as text
from benchmarks.clusters import read
from benchmarks.decisions import ReadOnlyStore
from benchmarks.measure import Figure
from benchmarks.plan import Plan
from benchmarks.reviews import Manifest, create
from benchmarks.settings import settings_for
from benchmarks.synthetic import Size
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.own_names import CALLS
from istio_netpol.runtime.garbage import keep_what_is_left
from istio_netpol.server.reviewer import Reviewer

TENANT = "tenant"
WORKLOADS = 60
ANSWERED_MS, TAKEN_SECONDS, GROWN_MIB = 250.0, 1.0, 50.0


@dataclass(frozen=True)
class Heavy:
    """One object that asks for much."""

    name: str
    manifest: Callable[[], Manifest]


def _object(api: str, kind: str, spec: dict[str, Any]) -> Manifest:
    metadata = {"name": "heavy", "namespace": TENANT}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def _virtual_service() -> Manifest:
    routes = [
        {
            "match": [{"uri": {"prefix": f"/{number}"}}],
            "route": [{"destination": {"host": f"w-{number % WORKLOADS}", "port": {"number": 80}}}],
        }
        for number in range(10_000)
    ]
    spec = {"hosts": ["heavy.example.com"], "gateways": ["istio-system/public"], "http": routes}
    return _object("networking.istio.io/v1", "VirtualService", spec)


def _virtual_service_to_nowhere() -> Manifest:
    found = _virtual_service()
    for number, route in enumerate(found["spec"]["http"]):
        route["route"][0]["destination"]["host"] = f"nowhere-{number}"
    return found


def _endpoints() -> Manifest:
    endpoints = [{"address": f"203.{n // 62500}.{n // 250 % 250}.{n % 250}"} for n in range(5_000)]
    ports = [{"number": 443, "name": "tls", "protocol": "TLS"}]
    spec = {"hosts": ["x.example.com"], "resolution": "STATIC", "endpoints": endpoints, "ports": ports}
    return _object("networking.istio.io/v1", "ServiceEntry", spec)


def _hosts_and_ports() -> Manifest:
    hosts = [f"h-{number}.example.com" for number in range(256)]
    ports = [{"number": 1000 + n, "name": f"p-{n}", "protocol": "TLS"} for n in range(256)]
    spec = {"hosts": hosts, "resolution": "DNS", "ports": ports}
    return _object("networking.istio.io/v1", "ServiceEntry", spec)


def _addresses() -> Manifest:
    addresses = [f"203.{n // 62500}.{n // 250 % 250}.{n % 250}" for n in range(20_000)]
    ports = [{"number": 443, "name": "tls", "protocol": "TLS"}]
    spec = {"hosts": ["x.example.com"], "resolution": "NONE", "addresses": addresses, "ports": ports}
    return _object("networking.istio.io/v1", "ServiceEntry", spec)


def _scattered_addresses() -> Manifest:
    """Near the 1.5 MiB that etcd takes, and no two in a row."""
    found = _addresses()
    found["spec"]["addresses"] = [
        f"{20 + n % 100}.{n // 100 // 250}.{n // 100 % 250}.2" for n in range(60_000)
    ]
    return found


def _gateway() -> Manifest:
    servers = [
        {"port": {"number": 1000 + n, "name": f"p-{n}", "protocol": "HTTP"}, "hosts": [f"h-{n}.example.com"]}
        for n in range(12_000)
    ]
    spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
    return _object("networking.istio.io/v1", "Gateway", spec)


def _ip_blocks() -> Manifest:
    blocks = [
        {
            "ipBlock": {
                "cidr": f"20.{n}.0.0/16",
                "except": [f"20.{n}.{m // 2}.{m % 2 * 128}/25" for m in range(500)],
            }
        }
        for n in range(200)
    ]
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": blocks}]}
    return _object("networking.k8s.io/v1", "NetworkPolicy", spec)


def _ipv6_blocks() -> Manifest:
    found = _ip_blocks()
    found["spec"]["egress"][0]["to"] = [
        {"ipBlock": {"cidr": f"2a00:{n:x}::/32", "except": [f"2a00:{n:x}:1::/48"]}} for n in range(10_000)
    ]
    return found


def _peers() -> Manifest:
    found = _ip_blocks()
    found["spec"]["egress"][0]["to"] = [
        {
            "namespaceSelector": {"matchLabels": {"a": f"b-{n}"}},
            "podSelector": {"matchLabels": {"app": f"w-{n}"}},
        }
        for n in range(10_000)
    ]
    return found


def _expressions() -> Manifest:
    found = _ip_blocks()
    expressions = [{"key": f"k-{n}", "operator": "NotIn", "values": ["a", "b"]} for n in range(18_000)]
    found["spec"] |= {"podSelector": {"matchExpressions": expressions}, "egress": []}
    return found


def _namespaces() -> Manifest:
    source = {"namespaces": [f"app-{n}" for n in range(40_000)]}
    return _object("security.istio.io/v1", "AuthorizationPolicy", {"rules": [{"from": [{"source": source}]}]})


def _calls() -> Manifest:
    calls = ", ".join(f"192.{n // 62500}.{n // 250 % 250}.{n % 250}:443" for n in range(12_000))
    found: Manifest = yaml.safe_load(text.DEPLOYMENT.format(ns=TENANT, name="heavy", tier="back"))
    found["spec"]["template"]["metadata"]["annotations"] = {CALLS: calls}
    return found


def _sources() -> Manifest:
    blocks = [f"20.{n // 250}.{n % 250}.0/25" for n in range(1_000)]
    spec = {"rules": [{"from": [{"source": {"ipBlocks": [block]}} for block in blocks]}]}
    return _object("security.istio.io/v1", "AuthorizationPolicy", spec)


def _ports() -> Manifest:
    ports = [str(1 + n) for n in range(150)]
    rule = {"from": [{"source": {"namespaces": [TENANT]}}], "to": [{"operation": {"ports": ports}}]}
    return _object("security.istio.io/v1", "AuthorizationPolicy", {"rules": [rule]})


def _exceptions() -> Manifest:
    rule = {
        "from": [
            {"source": {"namespaces": [TENANT], "notPrincipals": [f"p/ns/x/sa/{n}" for n in range(5_000)]}}
        ],
        "to": [{"operation": {"ports": [str(1 + n)], "notPorts": [str(2000 + n)]}} for n in range(1_000)],
    }
    return _object("security.istio.io/v1", "AuthorizationPolicy", {"rules": [rule] * 10})


def _http_route() -> Manifest:
    backends = [{"name": f"w-{n % WORKLOADS}", "port": 80} for n in range(16)]
    spec = {
        "parentRefs": [{"name": "heavy"}],
        "hostnames": [f"h-{n}.example.com" for n in range(16)],
        "rules": [{"backendRefs": backends} for _ in range(2_000)],
    }
    return _object("gateway.networking.k8s.io/v1", "HTTPRoute", spec)


def _kubernetes_gateway() -> Manifest:
    listeners = [{"name": f"l-{n}", "port": 1000 + n, "protocol": "HTTP"} for n in range(5_000)]
    spec = {"gatewayClassName": "istio", "listeners": listeners}
    return _object("gateway.networking.k8s.io/v1", "Gateway", spec)


def _sidecar() -> Manifest:
    hosts = [f"*/h-{number}.example.com" for number in range(10_000)] + [f"./w-{n}" for n in range(WORKLOADS)]
    return _object("networking.istio.io/v1", "Sidecar", {"egress": [{"hosts": hosts}]})


def _request_authentication() -> Manifest:
    rules = [
        {"issuer": f"https://i-{n}.example.com", "jwksUri": f"https://i-{n}.example.com/k"}
        for n in range(2_000)
    ]
    return _object("security.istio.io/v1", "RequestAuthentication", {"jwtRules": rules})


def _service() -> Manifest:
    ports = [{"port": 1 + n, "name": f"p-{n}"} for n in range(1_000)]
    return _object("v1", "Service", {"selector": {"all": "yes"}, "ports": ports})


def _pod() -> Manifest:
    found: Manifest = yaml.safe_load(text.DEPLOYMENT.format(ns=TENANT, name="heavy", tier="back"))
    template = found["spec"]["template"]
    template["metadata"]["labels"].update({f"l-{n}": "x" for n in range(1_000)})
    template["spec"]["containers"][0]["ports"] = [{"containerPort": 1 + n} for n in range(1_000)]
    return found


def _destination_rule() -> Manifest:
    subsets = [{"name": f"s-{n}", "labels": {"version": f"v{n}"}} for n in range(10_000)]
    return _object("networking.istio.io/v1", "DestinationRule", {"host": "w-0", "subsets": subsets})


def _endpoint_slice() -> Manifest:
    found = _object("discovery.k8s.io/v1", "EndpointSlice", {})
    del found["spec"]
    found["metadata"]["labels"] = {"kubernetes.io/service-name": "outside"}
    found["addressType"] = "IPv4"
    found["ports"] = [{"port": 1 + n, "name": f"p-{n}"} for n in range(100)]
    found["endpoints"] = [{"addresses": [f"203.0.{n // 250}.{n % 250}"]} for n in range(1_000)]
    return found


HEAVY = (
    Heavy("VirtualService with 10,000 routes", _virtual_service),
    Heavy("VirtualService with 10,000 routes to nowhere", _virtual_service_to_nowhere),
    Heavy("ServiceEntry with 5,000 endpoints", _endpoints),
    Heavy("ServiceEntry with 256 hosts and 256 ports", _hosts_and_ports),
    Heavy("ServiceEntry with 20,000 addresses", _addresses),
    Heavy("ServiceEntry with 60,000 scattered addresses", _scattered_addresses),
    Heavy("Gateway with 12,000 servers", _gateway),
    Heavy("NetworkPolicy with 200 ipBlocks of 500 excepts", _ip_blocks),
    Heavy("NetworkPolicy with 10,000 IPv6 blocks", _ipv6_blocks),
    Heavy("NetworkPolicy with 10,000 peers", _peers),
    Heavy("NetworkPolicy with 18,000 requirements", _expressions),
    Heavy("AuthorizationPolicy with 40,000 namespaces", _namespaces),
    Heavy("Deployment with 12,000 calls", _calls),
    Heavy("AuthorizationPolicy with 1,000 ipBlocks", _sources),
    Heavy("AuthorizationPolicy with 150 ports", _ports),
    Heavy("AuthorizationPolicy with 10,000 operations", _exceptions),
    Heavy("HTTPRoute with 32,000 backends", _http_route),
    Heavy("Gateway API Gateway with 5,000 listeners", _kubernetes_gateway),
    Heavy("Sidecar with 10,000 hosts", _sidecar),
    Heavy("RequestAuthentication with 2,000 rules", _request_authentication),
    Heavy("Service with 1,000 ports", _service),
    Heavy("Deployment with 1,000 ports and labels", _pod),
    Heavy("DestinationRule with 10,000 subsets", _destination_rule),
    Heavy("EndpointSlice with 1,000 endpoints, 100 ports", _endpoint_slice),
)


def neighbours(mode: str = "augment") -> Iterator[str]:
    """The tenant's namespace as manifests: isolated, with a sidecar in each of sixty workloads."""
    labels = {"istio-injection": "enabled", "istio-netpol.io/mode": mode}
    named = {"name": TENANT, "labels": labels}
    yield json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": named})
    deny = _object("networking.k8s.io/v1", "NetworkPolicy", yaml.safe_load(text.DENY_ALL)["spec"])
    deny["metadata"]["name"] = "deny-all"
    yield json.dumps(deny)
    for number in range(WORKLOADS):
        found = yaml.safe_load(text.DEPLOYMENT.format(ns=TENANT, name=f"w-{number}", tier="back"))
        found["spec"]["template"]["metadata"]["labels"]["all"] = "yes"
        found["spec"]["selector"] = {"matchLabels": {"app": f"w-{number}"}}
        yield json.dumps(found)
        yield text.SERVICE.format(ns=TENANT, name=f"w-{number}")
    ports = [{"port": 1 + n, "name": f"p-{n}"} for n in range(100)]
    outside = _object("v1", "Service", {"ports": ports})
    outside["metadata"]["name"] = "outside"
    yield json.dumps(outside)


def figures(plan: Plan) -> Iterator[Figure]:
    """For each object: processor milliseconds of both its reviews, and seconds and MiB to take it in."""
    snapshot = read([*text.documents(Size(20), plan.seed), *(f"{neighbour}\n" for neighbour in neighbours())])
    table = FlowTable.of(snapshot, settings_for(plan.size)).indexed()
    keep_what_is_left()
    for heavy in HEAVY:
        yield from _of(heavy, table)


def _of(heavy: Heavy, table: FlowTable) -> Iterator[Figure]:
    manifest = heavy.manifest()
    reviewer = Reviewer(ReadOnlyStore(), Offline())
    reviewer.take(table)
    body = create(manifest)
    for mutating in (True, False):
        started = time.process_time()
        reviewer.review(body, mutating=mutating)
        spent = (time.process_time() - started) * 1000
        yield Figure(
            f"{heavy.name}: {'mutate' if mutating else 'validate'}", "ms", [spent], at_most=ANSWERED_MS
        )
    values, _ = decode(RawObject(manifest, "", 0))
    started = time.process_time()
    table.with_changes(values)
    yield Figure(f"{heavy.name}: taken in", "s", [time.process_time() - started], at_most=TAKEN_SECONDS)
    yield Figure(f"{heavy.name}: memory", "MiB", [_grown(manifest, table)], at_most=GROWN_MIB)


def _grown(manifest: Manifest, table: FlowTable) -> float:
    """MiB at the peak of decoding an object and taking it in."""
    gc.collect()
    tracemalloc.start()
    try:
        values, _ = decode(RawObject(manifest, "", 0))
        taken = table.with_changes(values)
        del taken
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
