"""Defines in which namespaces only cluster administrators write."""

from __future__ import annotations

from istio_netpol.model.settings import Settings


def trusted_namespaces(settings: Settings, root_namespace: str = "") -> frozenset[str]:
    """The namespaces that settings name, and the mesh's root namespace: `root_namespace` is what the mesh
    config of one of the others says it is, which may differ from the settings."""
    named = (*settings.admission.trusted_namespaces, settings.mesh.root_namespace, root_namespace)
    return frozenset(filter(None, named))
