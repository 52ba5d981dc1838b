"""What a tenant applies: one small object of each kind."""

from __future__ import annotations

POD_SPEC = {"containers": [{"name": "app", "image": "app:1"}]}
LABELS = {"app": "cart"}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "cart", "labels": LABELS},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": POD_SPEC},
    },
}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart", "labels": LABELS}, "spec": POD_SPEC}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "cart"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "cart"},
    "spec": {"ports": [{"port": 80}], "selector": LABELS},
}
ENTRY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "cart"},
    "spec": {"hosts": ["cart.example.com"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]},
}
