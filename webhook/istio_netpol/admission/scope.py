"""Who is never judged, so that a mistake of ours can be repaired with kubectl alone."""

from __future__ import annotations

from istio_netpol.admission.reviews import AdmissionRequest
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.settings import AdmissionSettings

JUDGED_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE"})
DELETION_MATTERS = frozenset({("networking.k8s.io", "NetworkPolicy")})
"""What can cut flows of others by going away; everything else can always be deleted."""


def is_judged(request: AdmissionRequest, settings: AdmissionSettings) -> bool:
    """Whether a request is looked at at all."""
    if request.operation not in JUDGED_OPERATIONS or request.sub_resource:
        return False
    if request.operation == "DELETE" and (request.kind.group, request.kind.kind) not in DELETION_MATTERS:
        return False
    return not _is_exempt(request, settings)


def namespace_of(request: AdmissionRequest) -> str:
    """The namespace whose mode holds: a Namespace's own, else the object's."""
    return request.name if (request.kind.group, request.kind.kind) == ("", "Namespace") else request.namespace


def is_exempt_namespace(namespace: str, settings: AdmissionSettings) -> bool:
    """Whether nothing of a namespace is judged; objects without one are not judged either."""
    return (
        not namespace
        or namespace in KUBERNETES_NAMESPACES
        or namespace == settings.own_namespace
        or namespace in settings.exempt_namespaces
    )


def _is_exempt(request: AdmissionRequest, settings: AdmissionSettings) -> bool:
    return (
        is_exempt_namespace(namespace_of(request), settings)
        or request.user_info.username in settings.exempt_users
        or any(group in settings.exempt_groups for group in request.user_info.groups or ())
    )
