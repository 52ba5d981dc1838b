"""Forty namespaces as a cluster's dump has them: status, managedFields, pods and ReplicaSets of controllers,
and policies in the states in which people's clusters are found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any

Manifest = dict[str, Any]

TEAMS = tuple(f"team-{number:02}" for number in range(30))
STYLES = ("nothing", "complete", "bare denial", "ingress only", "egress only", "too little", "allows all")
"""What the namespaces of teams have in the way of policies, in turns."""

NEIGHBOURS = 6
"""Every so many teams one admits the next team's api; all of these say so themselves but one."""

SILENT = "team-07"

DNS_RULE = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
ISTIOD_RULE = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}},
            "podSelector": {"matchLabels": {"app": "istiod"}},
        }
    ],
    "ports": [{"port": 15012, "protocol": "TCP"}],
}


def estate() -> Manifest:
    """The dump, a `List`."""
    return {"apiVersion": "v1", "kind": "List", "items": [*_Estate().objects()]}


class _Estate:
    def __init__(self) -> None:
        self._numbers = count(10)

    def objects(self) -> Iterator[Manifest]:
        for number in range(4):
            yield _object("v1", "Node", f"node-{number}", "", status=_node_status(number))
        yield from self._kubernetes()
        yield from self._istio()
        for number, team in enumerate(TEAMS):
            yield from self._team(team, number)
        yield from self._unexplained()

    def _kubernetes(self) -> Iterator[Manifest]:
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            yield _namespace(name)
        yield from self._workload("kube-system", "coredns", {"k8s-app": "kube-dns"}, 53)
        dns = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53, "protocol": "TCP"}]
        yield _service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, dns)
        yield from self._workload("kube-system", "kube-proxy", {"k8s-app": "kube-proxy"}, host_network=True)
        https = [{"name": "https", "port": 443, "targetPort": 6443}]
        yield _service("default", "kubernetes", {}, https)
        yield {
            **_object("discovery.k8s.io/v1", "EndpointSlice", "kubernetes", "default"),
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.0.2.5"], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        }

    def _istio(self) -> Iterator[Manifest]:
        yield _namespace("istio-system")
        yield _namespace("istio-ingress")
        istiod = {"app": "istiod", "istio": "pilot", "sidecar.istio.io/inject": "false"}
        yield from self._workload("istio-system", "istiod", istiod, 15012)
        ports = [{"name": "https-dns", "port": 15012}, {"name": "webhook", "port": 443, "targetPort": 15017}]
        yield _service("istio-system", "istiod", {"app": "istiod"}, ports)
        gateway = {"app": "gateway", "istio": "ingressgateway"}
        yield from self._workload("istio-ingress", "gateway", gateway, 8443, gateway=True)
        yield _service(
            "istio-ingress", "gateway", gateway, [{"name": "https", "port": 443, "targetPort": 8443}]
        )
        servers = [{"hosts": ["*.example.com"], "port": {"name": "h", "number": 443, "protocol": "HTTPS"}}]
        public = _object("networking.istio.io/v1", "Gateway", "public", "istio-ingress")
        yield {**public, "spec": {"selector": {"istio": "ingressgateway"}, "servers": servers}}

    def _team(self, team: str, number: int) -> Iterator[Manifest]:
        yield _namespace(team, **{"istio-injection": "enabled"})
        for name, port in (("web", 8080), ("api", 9000), ("db", 5432)):
            kind = "StatefulSet" if name == "db" else "Deployment"
            calls = _neighbour_called(number) if name == "api" else ""
            yield from self._workload(team, name, {"app": name}, port, kind=kind, injected=True, calls=calls)
            yield _service(team, name, {"app": name}, [{"name": "tcp", "port": port}])
        yield _virtual_service(team)
        for server, client in (("db", "api"), ("api", "web")):
            yield _authorization(team, server, client)
        if number % NEIGHBOURS == 0:
            yield _authorization(team, "web", "api", TEAMS[number + 1])
        if number % 5 == 0:
            rules = [{"issuer": "https://login.example.com", "jwksUri": "https://login.example.com/keys"}]
            keys = _object("security.istio.io/v1", "RequestAuthentication", "jwt", team)
            yield {**keys, "spec": {"selector": {"matchLabels": {"app": "api"}}, "jwtRules": rules}}
        yield from _policies(team, STYLES[number % len(STYLES)])

    def _unexplained(self) -> Iterator[Manifest]:
        """What comes with charts: no object says whom these call."""
        for name in ("argocd", "cert-manager", "monitoring", "vault"):
            yield _namespace(name)
            yield from self._workload(name, "server", {"app": name}, 8080)
        yield _policy("argocd", "server", {"app": "argocd"}, ["Ingress"], ingress=[{}])

    def _workload(
        self,
        namespace: str,
        name: str,
        labels: dict[str, str],
        port: int = 0,
        *,
        kind: str = "Deployment",
        injected: bool = False,
        gateway: bool = False,
        host_network: bool = False,
        calls: str = "",
    ) -> Iterator[Manifest]:
        template = _template(labels, port, gateway=gateway, host_network=host_network, account=name)
        if calls:
            template["metadata"]["annotations"] = {"istio-netpol.io/calls": calls}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        yield {**_object("apps/v1", kind, name, namespace), "spec": spec, "status": {"readyReplicas": 2}}
        owner, pod_labels = (kind, name), labels
        if kind == "Deployment":
            owner = ("ReplicaSet", f"{name}-{_digest(namespace + name)}")
            pod_labels = {**labels, "pod-template-hash": _digest(namespace + name)}
            hashed = {**template, "metadata": {**template["metadata"], "labels": pod_labels}}
            replica_set = _object("apps/v1", "ReplicaSet", owner[1], namespace, owner=(kind, name))
            yield {**replica_set, "spec": {"selector": {"matchLabels": pod_labels}, "template": hashed}}
        for number in range(2):
            yield self._pod(namespace, f"{owner[1]}-{number}", owner, pod_labels, template, injected)

    def _pod(
        self,
        namespace: str,
        name: str,
        owner: tuple[str, str],
        labels: dict[str, str],
        template: Manifest,
        injected: bool,
    ) -> Manifest:
        pod = _object("v1", "Pod", name, namespace, owner=owner)
        pod["metadata"]["labels"] = dict(labels)
        pod["metadata"]["annotations"] = dict(template["metadata"].get("annotations", {}))
        spec = {**template["spec"], "nodeName": "node-1"}
        if injected:
            pod["metadata"]["labels"]["security.istio.io/tlsMode"] = "istio"
            pod["metadata"]["annotations"]["sidecar.istio.io/status"] = '{"revision": "default"}'
            proxy = {
                "name": "istio-proxy",
                "image": "docker.io/istio/proxyv2:1.27.3",
                "restartPolicy": "Always",
            }
            spec["initContainers"] = [proxy]
        number = next(self._numbers)
        address = "192.0.2.11" if spec.get("hostNetwork") else f"10.244.{number // 250}.{number % 250 + 1}"
        return {**pod, "spec": spec, "status": {"phase": "Running", "podIP": address, "hostIP": "192.0.2.11"}}


def _digest(text: str) -> str:
    return f"h{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _object(
    api_version: str, kind: str, name: str, namespace: str, *, owner: tuple[str, str] = ("", ""), **rest: Any
) -> Manifest:
    metadata: Manifest = {
        "name": name,
        "uid": _digest(f"{kind}/{namespace}/{name}"),
        "creationTimestamp": "2026-09-01T08:00:00Z",
        "managedFields": [{"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
    }
    if namespace:
        metadata["namespace"] = namespace
    if owner[0]:
        reference = {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "controller": True}
        metadata["ownerReferences"] = [{**reference, "uid": "u"}]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def _node_status(number: int) -> Manifest:
    return {"addresses": [{"type": "InternalIP", "address": f"192.0.2.{10 + number}"}]}


def _namespace(name: str, **labels: str) -> Manifest:
    found = _object("v1", "Namespace", name, "", status={"phase": "Active"})
    found["metadata"]["labels"] = {"kubernetes.io/metadata.name": name, **labels}
    return found


def _service(namespace: str, name: str, selector: dict[str, str], ports: list[Manifest]) -> Manifest:
    spec = {"clusterIP": f"10.96.{len(namespace)}.{len(name)}", "selector": selector, "ports": ports}
    return {**_object("v1", "Service", name, namespace), "spec": spec, "status": {"loadBalancer": {}}}


def _neighbour_called(number: int) -> str:
    """What a team's api says that it calls in the namespace of the team before."""
    team = TEAMS[number]
    return f"{TEAMS[number - 1]}/web:8080" if number % NEIGHBOURS == 1 and team != SILENT else ""


def _template(
    labels: dict[str, str], port: int, *, gateway: bool, host_network: bool, account: str
) -> Manifest:
    container: Manifest = {"name": "app", "image": "registry.example.com/app:1"}
    if port:
        container["ports"] = [{"containerPort": port, "name": "main"}]
    metadata: Manifest = {"labels": labels}
    if gateway:
        metadata["annotations"] = {"inject.istio.io/templates": "gateway"}
    spec = {"containers": [container], "hostNetwork": host_network, "serviceAccountName": account}
    return {"metadata": metadata, "spec": spec}


def _virtual_service(team: str) -> Manifest:
    route = [{"destination": {"host": "web", "port": {"number": 8080}}}]
    spec = {
        "gateways": ["istio-ingress/public"],
        "hosts": [f"{team}.example.com"],
        "http": [{"route": route}],
    }
    return {**_object("networking.istio.io/v1", "VirtualService", "web", team), "spec": spec}


def _authorization(team: str, server: str, client: str, home: str = "") -> Manifest:
    principal = f"cluster.local/ns/{home or team}/sa/{client}"
    rules = [{"from": [{"source": {"principals": [principal]}}]}]
    name = f"{server}-from-{home or client}"
    spec = {"selector": {"matchLabels": {"app": server}}, "action": "ALLOW", "rules": rules}
    return {**_object("security.istio.io/v1", "AuthorizationPolicy", name, team), "spec": spec}


def _policy(
    namespace: str, name: str, labels: dict[str, str], types: list[str], **rules: list[Manifest]
) -> Manifest:
    selector = {"matchLabels": labels} if labels else {}
    spec = {"podSelector": selector, "policyTypes": types, **rules}
    return {**_object("networking.k8s.io/v1", "NetworkPolicy", name, namespace), "spec": spec}


def _policies(team: str, style: str) -> Iterator[Manifest]:
    both = ["Ingress", "Egress"]
    same: Manifest = {"podSelector": {}}
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-ingress"}}}
    if style in {"complete", "bare denial", "too little", "allows all"}:
        yield _policy(team, "deny", {}, both)
    if style == "ingress only":
        yield _policy(team, "deny-ingress", {}, ["Ingress"])
    if style == "egress only":
        yield _policy(team, "deny-egress", {}, ["Egress"])
    if style == "complete":
        yield _policy(team, "inside", {}, both, ingress=[{"from": [same]}], egress=[{"to": [same]}])
        yield _policy(team, "platform", {}, ["Egress"], egress=[DNS_RULE, ISTIOD_RULE])
        yield _policy(team, "public", {"app": "web"}, ["Ingress"], ingress=[{"from": [gateway]}])
    if style == "too little":
        yield _policy(team, "dns", {}, ["Egress"], egress=[DNS_RULE])
    if style == "allows all":
        yield _policy(team, "all", {}, both, ingress=[{}], egress=[{}])
