"""The custom resources that the rules read, defined on the real API server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import (
    ARGO_ROLLOUTS,
    CERT_MANAGER,
    DEFINITIONS,
    GATEWAY_API,
    ISTIO,
    PROMETHEUS_OPERATOR,
    defined,
)
from tests.cluster.fixtures import require_go
from tests.cluster.users import ADMIN

from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.discovery import served
from istio_netpol.manifests.decode import CLUSTER_DECODERS, DECODERS

OBJECTS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    ISTIO: (
        "security.istio.io/v1",
        "RequestAuthentication",
        "requestauthentications",
        {"jwtRules": [{"issuer": "https://keys.example.com"}]},
    ),
    GATEWAY_API: (
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        "httproutes",
        {"rules": [{"backendRefs": [{"name": "cart", "port": 80}]}]},
    ),
    ARGO_ROLLOUTS: (
        "argoproj.io/v1alpha1",
        "Rollout",
        "rollouts",
        {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}},
    ),
    CERT_MANAGER: (
        "cert-manager.io/v1",
        "Certificate",
        "certificates",
        {"secretName": "tls", "dnsNames": ["cart.shop.svc"], "issuerRef": {"name": "ca"}},
    ),
    PROMETHEUS_OPERATOR: (
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        "servicemonitors",
        {"selector": {}, "endpoints": [{"port": "metrics"}]},
    ),
}


@pytest.mark.parametrize("module", OBJECTS)
def test_custom_resources_are_served_while_they_are_defined(
    control_plane: ControlPlane, namespace: str, module: str
) -> None:
    """Each definition is established, checks what is created, and leaves nothing for the next test. Meanwhile
    the API server says of each kind that is decoded whether its objects are in a namespace."""
    require_go()
    api = control_plane.api()
    version, kind, plural, spec = OBJECTS[module]
    path = f"/apis/{version}/namespaces/{namespace}/{plural}?fieldValidation=Strict"
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "one"}}
    with defined(control_plane, module) as names:
        there = {item["metadata"]["name"] for item in api.request("GET", DEFINITIONS).object["items"]}
        assert there == set(names)
        decoded = served(ApiConnection.open(ADMIN, control_plane.kubeconfig(ADMIN)), DECODERS)
        scopeless = {(kind.group, kind.kind) for kind in decoded if not kind.namespaced}
        assert scopeless == {(kind.group, kind.kind) for kind in decoded} & CLUSTER_DECODERS.keys()
        control_plane.create(path, {**manifest, "spec": spec})
        refused = api.request("POST", path, {**manifest, "spec": {**spec, "unheardOf": True}})
        assert refused.status == 400
        assert 'unknown field "spec.unheardOf"' in refused.object["message"]
    assert api.request("GET", DEFINITIONS).object["items"] == []
    assert api.request("GET", path).status == 404
