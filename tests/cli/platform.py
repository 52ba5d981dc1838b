"""A platform as its API server lists it: teams with the faults that policies have in the wild."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

ISTIOD = {"app": "istiod", "istio": "pilot"}


def platform(teams: int) -> list[Manifest]:
    """So many namespaces of teams beside istiod and cluster DNS. Every second one has forgotten istiod, every
    fourth DNS too, every fifth opens too much, and every sixth lets no gateway in."""
    items = [
        namespace("istio-system"),
        namespace("kube-system"),
        workload("istio-system", "istiod", ISTIOD, 15012),
        workload("kube-system", "coredns", {"k8s-app": "kube-dns"}, 53),
        service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, 53),
        workload("istio-system", "istio-ingressgateway", {"istio": "ingressgateway"}, 8080),
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "public", "namespace": "istio-system"},
            "spec": {
                "selector": {"istio": "ingressgateway"},
                "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*/*"]}],
            },
        },
    ]
    for number in range(teams):
        items += team(number)
    for position, item in enumerate(items):
        item["metadata"] |= {
            "resourceVersion": str(position),
            "uid": f"00000000-0000-0000-0000-{position:012}",
        }
    return items


def team(number: int) -> list[Manifest]:
    """The objects of one namespace."""
    name = f"team-{number:02}"
    items = [namespace(name, {"istio-injection": "enabled"})]
    for app, port in (("web", 8080), ("api", 9000), ("db", 5432)):
        labels = {"app": app}
        items += [workload(name, app, labels, port), service(name, app, labels, port)]
    egress: list[Manifest] = []
    if number % 2 == 0:
        egress.append({"to": [pods("istio-system", ISTIOD)], "ports": [{"port": 15012}]})
    if number % 4 != 1:
        ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
        egress.append({"to": [pods("kube-system", {"k8s-app": "kube-dns"})], "ports": ports})
    items.append(policy(name, "default-deny", {"policyTypes": ["Ingress", "Egress"]}))
    items.append(policy(name, "baseline", {"policyTypes": ["Egress"], "egress": egress}))
    if number % 5 == 0:
        items.append(policy(name, "temporary", {"policyTypes": ["Ingress"], "ingress": [{}]}))
    if number % 6:
        opened = [{"from": [pods("istio-system", {"istio": "ingressgateway"})], "ports": [{"port": 8080}]}]
        items.append(policy(name, "from-gateway", {"policyTypes": ["Ingress"], "ingress": opened}))
    items.append(route(name))
    return items


def namespace(name: str, labels: Manifest | None = None) -> Manifest:
    named = {"kubernetes.io/metadata.name": name, **(labels or {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": named}}


def workload(namespace: str, name: str, labels: Manifest, port: int) -> Manifest:
    containers = [{"name": "app", "image": name, "ports": [{"containerPort": port}]}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {"readyReplicas": 1},
    }


def service(namespace: str, name: str, selector: Manifest, port: int) -> Manifest:
    ports = [{"name": "tcp", "port": port, "targetPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": selector, "ports": ports},
    }


def pods(namespace: str, labels: Manifest) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": labels},
    }


def policy(namespace: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {}, **spec},
    }


def route(namespace: str) -> Manifest:
    """A VirtualService for the mesh's public gateway."""
    destination = {"host": f"web.{namespace}.svc.cluster.local", "port": {"number": 8080}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "hosts": [f"{namespace}.example.com"],
            "gateways": ["istio-system/public"],
            "http": [{"route": [{"destination": destination}]}],
        },
    }
