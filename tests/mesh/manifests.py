"""Workloads that many tests of the mesh use, as manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

PYTHON = "istio-netpol.test/python"
"""The image whose programs are those of this checkout: see `tests.mesh.images`."""

HTTP, TCP = 8080, 9000
"""The ports on which the echo listens in its pods. Its Service shows others."""


def new_namespace(name: str, labels: Mapping[str, str] | None = None) -> Manifest:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}


def program(name: str, *arguments: str | int) -> list[str]:
    """The command of a container that runs one of `tests/mesh/programs`."""
    return ["python", "-m", f"tests.mesh.programs.{name}", *map(str, arguments)]


def server(
    namespace: str,
    app: str,
    command: Sequence[str],
    ports: Mapping[str, tuple[int, int]],
    **pod: Any,
) -> list[Manifest]:
    """A ServiceAccount, a Deployment and its Service, of one name. `ports` have the Service's port and the
    pods' by the name of both, from which Istio takes the protocol. `pod` is for `deployment`."""
    listening = {name: target for name, (_, target) in ports.items()}
    return [
        *workload(namespace, app, command, listening, **pod),
        service(namespace, app, {name: (port, name) for name, (port, _) in ports.items()}),
    ]


def echo(namespace: str, app: str = "echo", **pod: Any) -> list[Manifest]:
    """An echo server (HTTP at 80, TCP at 9000), to which every request is a new connection."""
    command = program("echo", app, "--http", HTTP, "--tcp", TCP)
    ports = {"http": (80, HTTP), "tcp": (9000, TCP)}
    return [*server(namespace, app, command, ports, **pod), fresh_connections(namespace, app)]


def client(namespace: str, app: str = "client", **pod: Any) -> list[Manifest]:
    """A pod that only waits for tests to act in it."""
    return workload(namespace, app, ["sleep", "infinity"], {}, **pod)


def workload(
    namespace: str, app: str, command: Sequence[str], ports: Mapping[str, int], **pod: Any
) -> list[Manifest]:
    """A ServiceAccount and a Deployment that runs as it."""
    account = _object("v1", "ServiceAccount", namespace, app)
    return [account, deployment(namespace, app, command, ports, **pod)]


def deployment(
    namespace: str,
    app: str,
    command: Sequence[str],
    ports: Mapping[str, int],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    replicas: int = 1,
    mounts: Mapping[str, str] | None = None,
) -> Manifest:
    """Pods labelled `app` that run one container. `mounts` are paths of Secrets; a server is ready when it
    answers on its first port."""
    mounts = mounts or {}
    spec = {
        "serviceAccountName": app,
        "terminationGracePeriodSeconds": 1,
        "containers": [_container(command, ports, mounts)],
        "volumes": [{"name": name, "secret": {"secretName": name}} for name in mounts],
    }
    template = {
        "metadata": {"labels": {"app": app, **(labels or {})}, "annotations": dict(annotations or {})},
        "spec": spec,
    }
    return _object(
        "apps/v1",
        "Deployment",
        namespace,
        app,
        {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template},
    )


def _container(command: Sequence[str], ports: Mapping[str, int], mounts: Mapping[str, str]) -> Manifest:
    container: Manifest = {"name": "app", "image": PYTHON, "command": list(command)}
    if ports:
        container["ports"] = [{"name": name, "containerPort": port} for name, port in ports.items()]
        first = next(iter(ports.values()))
        container["readinessProbe"] = {"tcpSocket": {"port": first}, "periodSeconds": 1}
    if mounts:
        container["volumeMounts"] = [{"name": name, "mountPath": path} for name, path in mounts.items()]
    return container


def service(
    namespace: str,
    name: str,
    ports: Mapping[str, tuple[int, int | str]],
    *,
    headless: bool = False,
    selector: Mapping[str, str] | None = None,
) -> Manifest:
    """A Service of the pods whose label `app` is its name, or of others; `ports` have its port and theirs by
    names."""
    listed = [
        {"name": name, "port": port, "targetPort": target, "protocol": "TCP"}
        for name, (port, target) in ports.items()
    ]
    spec: Manifest = {"selector": dict(selector or {"app": name}), "ports": listed}
    if headless:
        spec["clusterIP"] = "None"
    return _object("v1", "Service", namespace, name, spec)


def fresh_connections(namespace: str, name: str, host: str = "") -> Manifest:
    """A DestinationRule that has proxies open a connection for every request to a Service, or to another
    host: what is open when a policy comes survives it, so only new ones tell what the policies allow."""
    spec = {
        "host": host or f"{name}.{namespace}.svc.cluster.local",
        "trafficPolicy": {"connectionPool": {"http": {"maxRequestsPerConnection": 1}}},
    }
    return _object("networking.istio.io/v1", "DestinationRule", namespace, name, spec)


def gateway(
    namespace: str, name: str, servers: Sequence[Manifest], selector: Mapping[str, str] | None = None
) -> Manifest:
    """A Gateway on the default ingress gateway's pods, or on others."""
    spec = {"selector": dict(selector or {"istio": "ingressgateway"}), "servers": list(servers)}
    return _object("networking.istio.io/v1", "Gateway", namespace, name, spec)


def http_server(port: int, *hosts: str) -> Manifest:
    """A plain HTTP server of a Gateway."""
    return {"port": {"number": port, "name": f"http-{port}", "protocol": "HTTP"}, "hosts": list(hosts)}


def virtual_service(namespace: str, name: str, spec: Manifest) -> Manifest:
    """A VirtualService."""
    return _object("networking.istio.io/v1", "VirtualService", namespace, name, spec)


def deny_all(namespace: str) -> Manifest:
    """The policy that denies every connection of a namespace's pods."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return _object("networking.k8s.io/v1", "NetworkPolicy", namespace, "default-deny", spec)


def istio(kind: str, namespace: str, name: str, spec: Manifest) -> Manifest:
    """An object of Istio's security, networking or telemetry API."""
    return _object(_ISTIO[kind], kind, namespace, name, spec)


_ISTIO = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "ServiceEntry": "networking.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
    "Telemetry": "telemetry.istio.io/v1",
}


def _object(version: str, kind: str, namespace: str, name: str, spec: Manifest | None = None) -> Manifest:
    manifest: Manifest = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
    }
    if spec is not None:
        manifest["spec"] = spec
    return manifest
