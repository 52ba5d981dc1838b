"""What is read of the objects of each kind: all of them, or those that tell something of their own."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.kube.reflector import Scope
from istio_netpol.kube.resources import Resource

MIRRORED = ("", "Endpoints")
"""Not read: the API server mirrors every Endpoints object into EndpointSlices."""

CONFIG_MAP = ("", "ConfigMap")
"""Read only where istiod runs: the mesh config."""

BY_HAND = {
    ("discovery.k8s.io", "EndpointSlice"): (
        "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io"
    )
}
"""Selectors that leave out what follows from other objects: the slices of Services with a selector."""


def scopes_of(resource: Resource, config_namespaces: Sequence[str]) -> list[Scope]:
    """What is read of a resource; `config_namespaces` are those of mesh configs."""
    kind = (resource.group, resource.kind)
    if kind == MIRRORED:
        return []
    if kind == CONFIG_MAP:
        return [Scope(resource, namespace) for namespace in config_namespaces]
    return [Scope(resource, selector=BY_HAND.get(kind, ""))]
