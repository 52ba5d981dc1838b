"""A cluster that is worth a map: a mesh of a dozen namespaces, some of which cut what they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

Manifest = dict[str, Any]

OPEN = ("catalog", "search", "media")
"""Namespaces without a policy."""
TIGHT = ("shop", "orders", "billing", "stock", "mail", "pricing")
"""Those that deny all by default and open what they know of."""
FORGETFUL = {"billing": ("gateway",), "stock": ("istiod",), "mail": ("istiod", "dns"), "pricing": ("db",)}
"""What some of them forgot to open."""


def cluster() -> str:
    """The whole cluster as YAML."""
    return yaml.safe_dump_all(manifests(), sort_keys=False)


def manifests() -> Iterator[Manifest]:
    yield from _control_plane()
    for name in (*TIGHT, *OPEN):
        yield from _team(name)
        if name in TIGHT:
            yield from _policies(name, FORGETFUL.get(name, ()))


def _object(api: str, kind: str, name: str, home: str, **fields: Any) -> Manifest:
    metadata = {"name": name, **({"namespace": home} if home else {})}
    labels = fields.pop("labels", None)
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def _deployment(home: str, name: str, labels: dict[str, str], *ports: int) -> Manifest:
    containers = [{"name": "app", "image": "app", "ports": [{"containerPort": port} for port in ports]}]
    template = {
        "metadata": {"labels": labels},
        "spec": {"serviceAccountName": name, "containers": containers},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", name, home, spec=spec)


def _service(home: str, name: str, labels: dict[str, str], port: int, target: int) -> Manifest:
    ports = [{"name": "http", "port": port, "targetPort": target}]
    return _object("v1", "Service", name, home, spec={"selector": labels, "ports": ports})


def _control_plane() -> Iterator[Manifest]:
    for name in ("istio-system", "istio-ingress", "kube-system"):
        yield _object("v1", "Namespace", name, "")
    yield _deployment("istio-system", "istiod", {"app": "istiod", "istio": "pilot"}, 15012, 15017)
    yield _service("istio-system", "istiod", {"app": "istiod"}, 15012, 15012)
    gateway = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    yield _deployment("istio-ingress", "istio-ingressgateway", gateway, 8080, 8443)
    yield _service("istio-ingress", "istio-ingressgateway", gateway, 80, 8080)
    yield _deployment("kube-system", "coredns", {"k8s-app": "kube-dns"}, 53)
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    spec = {"selector": gateway, "servers": servers}
    yield _object("networking.istio.io/v1", "Gateway", "public", "istio-ingress", spec=spec)


def _team(home: str) -> Iterator[Manifest]:
    yield _object("v1", "Namespace", home, "", labels={"istio-injection": "enabled", "team": home})
    for name, port in (("frontend", 8080), ("api", 9000), ("db", 5432)):
        yield _deployment(home, name, {"app": name}, port)
        yield _service(home, name, {"app": name}, 80 if port != 5432 else 5432, port)
    route = {"route": [{"destination": {"host": "frontend", "port": {"number": 80}}}]}
    spec = {"hosts": [f"{home}.example.com"], "gateways": ["istio-ingress/public"], "http": [route]}
    yield _object("networking.istio.io/v1", "VirtualService", "frontend", home, spec=spec)
    for called, caller, port in (("api", "frontend", "9000"), ("db", "api", "5432")):
        rule = {
            "from": [{"source": {"principals": [f"cluster.local/ns/{home}/sa/{caller}"]}}],
            "to": [{"operation": {"ports": [port]}}],
        }
        spec = {"selector": {"matchLabels": {"app": called}}, "action": "ALLOW", "rules": [rule]}
        yield _object("security.istio.io/v1", "AuthorizationPolicy", called, home, spec=spec)


def _policies(home: str, forgotten: tuple[str, ...]) -> Iterator[Manifest]:
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    yield _policy(home, "default-deny", deny)
    opened = {
        "istiod": _egress(_namespace("istio-system"), 15012),
        "dns": _egress(_namespace("kube-system"), 53, "UDP", "TCP"),
        "gateway": _ingress({"app": "frontend"}, _namespace("istio-ingress"), 8080),
        "frontend": _egress(_pods("api"), 9000, of="frontend"),
        "api": _ingress({"app": "api"}, _pods("frontend"), 9000),
        "db": _ingress({"app": "db"}, _pods("api"), 5432),
        "to-db": _egress(_pods("db"), 5432, of="api"),
    }
    for name, spec in opened.items():
        if name not in forgotten:
            yield _policy(home, f"allow-{name}", spec)


def _policy(home: str, name: str, spec: Manifest) -> Manifest:
    return _object("networking.k8s.io/v1", "NetworkPolicy", name, home, spec=spec)


def _pods(app: str) -> Manifest:
    return {"podSelector": {"matchLabels": {"app": app}}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _egress(to: Manifest, port: int, *protocols: str, of: str = "") -> Manifest:
    ports = [{"port": port, "protocol": protocol} for protocol in protocols or ("TCP",)]
    selector = {"matchLabels": {"app": of}} if of else {}
    return {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{"to": [to], "ports": ports}]}


def _ingress(labels: dict[str, str], sender: Manifest, port: int) -> Manifest:
    rule = {"from": [sender], "ports": [{"port": port, "protocol": "TCP"}]}
    return {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"], "ingress": [rule]}
