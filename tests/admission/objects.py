"""Manifests in few words: what users send, as the API server passes it on."""

from __future__ import annotations

from typing import Any

from istio_netpol.model.own_names import MODE_LABEL

Manifest = dict[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"


def manifest(kind: str, key: str, spec: Any = None, **metadata: Any) -> Manifest:
    """The object `namespace/name`, or `name`, of a kind whose API group is known here."""
    home, _, name = key.rpartition("/")
    where = {"namespace": home} if home else {}
    made: Manifest = {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": {"name": name, **where, **metadata},
    }
    return made if spec is None else {**made, "spec": spec}


API_VERSIONS = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "ConfigMap": "v1",
    "CronJob": "batch/v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Gateway": "networking.istio.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "Job": "batch/v1",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Pod": "v1",
    "ReferenceGrant": "gateway.networking.k8s.io/v1beta1",
    "ReplicaSet": "apps/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceEntry": "networking.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "StatefulSet": "apps/v1",
    "Telemetry": "telemetry.istio.io/v1",
    "VirtualService": "networking.istio.io/v1",
}


def namespace(name: str, mode: str = "", injected: bool = True, **labels: str) -> Manifest:
    """A namespace, whose pods get sidecars unless it says otherwise."""
    found = {NAME_LABEL: name, **({"istio-injection": "enabled"} if injected else {}), **labels}
    return manifest("Namespace", name, labels={**found, MODE_LABEL: mode} if mode else found)


def pod_template(labels: dict[str, str], port: int = 8080, annotations: dict[str, str] | None = None) -> Any:
    return {
        "metadata": {"labels": labels, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": port}]}]},
    }


def deployment(
    key: str,
    port: int = 8080,
    labels: dict[str, str] | None = None,
    calls: str = "",
    called_by: str = "",
    kind: str = "Deployment",
    replicas: int = 1,
) -> Manifest:
    """A controller whose pods are labelled `app=<name>` unless labels are given."""
    wanted = labels or {"app": key.rpartition("/")[2]}
    needs = {"istio-netpol.io/calls": calls, "istio-netpol.io/called-by": called_by}
    said = {name: value for name, value in needs.items() if value}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": wanted},
        "template": pod_template(wanted, port, said),
    }
    return manifest(kind, key, spec)


def pod(key: str, labels: dict[str, str] | None = None, owner: tuple[str, str] | None = None) -> Manifest:
    """A pod; `owner` is the kind and the name of its controller."""
    owners = [owned_by(*owner)] if owner else []
    wanted = labels or {"app": key.rpartition("/")[2]}
    return manifest("Pod", key, pod_template({})["spec"], labels=wanted, ownerReferences=owners)


def owned_by(kind: str, name: str) -> Manifest:
    """The ownerReference of a controller."""
    return {"apiVersion": API_VERSIONS[kind], "kind": kind, "name": name, "uid": "1", "controller": True}


def service(key: str, port: int = 80, target: int = 8080, selector: dict[str, str] | None = None) -> Manifest:
    wanted = {"app": key.rpartition("/")[2]} if selector is None else selector
    return manifest("Service", key, {"selector": wanted, "ports": [{"port": port, "targetPort": target}]})


def policy(key: str, spec: Any) -> Manifest:
    return manifest("NetworkPolicy", key, spec)


def deny_all(home: str, *types: str, selects: dict[str, str] | None = None) -> Manifest:
    """A policy that isolates and allows nothing; all pods and both directions unless told otherwise."""
    selector = {"matchLabels": selects} if selects else {}
    return policy(
        f"{home}/deny-all", {"podSelector": selector, "policyTypes": list(types or ("Ingress", "Egress"))}
    )


def allow(key: str, *, egress: Any = None, ingress: Any = None) -> Manifest:
    """A policy for all pods of a namespace with these rules."""
    rules = {"egress": egress, "ingress": ingress}
    given = {direction: found for direction, found in rules.items() if found is not None}
    return policy(
        key, {"podSelector": {}, "policyTypes": [direction.capitalize() for direction in given], **given}
    )


def gateway(key: str, selector: dict[str, str] | None = None, port: int = 8080) -> Manifest:
    server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    return manifest(
        "Gateway", key, {"selector": selector or {"istio": "ingressgateway"}, "servers": [server]}
    )


def virtual_service(
    key: str, host: str, gateway_name: str = "istio-system/public", port: int = 80
) -> Manifest:
    """Routes what a gateway receives to one host."""
    route = {"route": [{"destination": {"host": host, "port": {"number": port}}}]}
    return manifest("VirtualService", key, {"hosts": ["*"], "gateways": [gateway_name], "http": [route]})


def request_authentication(key: str, *uris: str) -> Manifest:
    rules = [{"issuer": f"issuer-{number}", "jwksUri": uri} for number, uri in enumerate(uris)]
    return manifest("RequestAuthentication", key, {"jwtRules": rules})


ISTIOD_LABELS = {"app": "istiod", "istio": "pilot"}
GATEWAY_LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
CONTROL_PLANE = (
    namespace("istio-system", injected=False),
    deployment("istio-system/istiod", 15012, ISTIOD_LABELS),
    deployment("istio-system/istio-ingressgateway", 8080, GATEWAY_LABELS),
    gateway("istio-system/public"),
)
"""istiod and an ingress gateway; cluster DNS is assumed."""
