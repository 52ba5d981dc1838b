"""What istiod's webhook does to pods, as far as policies and rules see it: a proxy, and a label of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.cluster.control_plane import ControlPlane

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
NAME = "sidecar-injector"

_PATCH = """[
  JSONPatch{op: 'add', path: '/metadata/labels/security.istio.io~1tlsMode', value: 'istio'},
  JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{
    name: 'istio-proxy', image: 'example.com/proxyv2:1.28.0'}}
]"""

_POLICY: dict[str, Any] = {
    "failurePolicy": "Fail",
    "reinvocationPolicy": "Never",
    "matchConstraints": {
        "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}},
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
    },
    "matchConditions": [{"name": "has-labels", "expression": "has(object.metadata.labels)"}],
    "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": _PATCH}}],
}


@contextlib.contextmanager
def injecting(plane: ControlPlane) -> Iterator[None]:
    """Pods of namespaces with `istio-injection: enabled` that are made meanwhile start with a proxy."""
    made = {
        "mutatingadmissionpolicies": {"kind": "MutatingAdmissionPolicy", "spec": _POLICY},
        "mutatingadmissionpolicybindings": {
            "kind": "MutatingAdmissionPolicyBinding",
            "spec": {"policyName": NAME},
        },
    }
    about = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": NAME}}
    for plural, definition in made.items():
        plane.create(f"{ADMISSION}/{plural}", {**about, **definition})
    yield
    for plural in made:
        plane.api().request("DELETE", f"{ADMISSION}/{plural}/{NAME}")
