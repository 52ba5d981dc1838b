"""CoreDNS as clusters have it: a Deployment in kube-system behind the Service kube-dns."""

from __future__ import annotations

from typing import Any

from tests.mesh import topology

NAMESPACE = "kube-system"
NAME = "coredns"
LABELS = {"k8s-app": "kube-dns"}

COREFILE = f"""\
{topology.CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
    errors
    health
    ready
    kubernetes {topology.CLUSTER_DOMAIN} in-addr.arpa {{
        pods insecure
    }}
    prometheus :9153
}}
.:53 {{
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
{topology.OUTSIDE_ZONE}:53 {{
    errors
    forward . {topology.OUTSIDE_DNS}
}}
"""
"""As kubeadm writes it, without the cache: tests don't wait for old answers. Other names don't exist, as
nothing leaves the machine; that is said in a block of its own, since `template` answers before `kubernetes`
is asked."""

READ = ["list", "watch"]


def manifests() -> list[dict[str, Any]]:
    """Everything that CoreDNS needs in a cluster."""
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    ]
    role = {"apiGroup": group, "kind": "ClusterRole", "name": NAME}
    return [
        _named("v1", "ServiceAccount", {}),
        _named(f"{group}/v1", "ClusterRole", {"rules": rules}),
        _named(f"{group}/v1", "ClusterRoleBinding", {"roleRef": role, "subjects": [account]}),
        _named("v1", "ConfigMap", {"data": {"Corefile": COREFILE}}),
        _named("apps/v1", "Deployment", {"spec": _deployment()}),
        _service(),
    ]


def _deployment() -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": f"registry.k8s.io/coredns/{NAME}",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
    }
    spec = {
        "serviceAccountName": NAME,
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    return {"selector": {"matchLabels": LABELS}, "template": template}


def _service() -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153, "protocol": "TCP"},
    ]
    spec = {"clusterIP": topology.DNS_SERVICE, "selector": LABELS, "ports": ports}
    service = _named("v1", "Service", {"spec": spec})
    service["metadata"]["name"] = "kube-dns"
    return service


def _named(version: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": NAME, "labels": LABELS}
    if not kind.startswith("ClusterRole"):
        metadata["namespace"] = NAMESPACE
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
