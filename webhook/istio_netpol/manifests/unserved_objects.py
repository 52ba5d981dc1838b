"""Objects that no supported API server takes: of API versions that were removed, with what to write instead,
and NetworkPolicies that are misspelt.

Kubernetes: "Deprecated API Migration Guide" (kubernetes.io/docs/reference/using-api/deprecation-guide).
Istio: "Migrate pre-Istio 1.4 Alpha security policy to the current APIs" and the upgrade notes of 1.8.
Gateway API: "Introducing Gateway API v1alpha2", the release notes of v0.6.0 and v1.2.0, istio/istio#41259.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import reference_of
from istio_netpol.manifests.raw_objects import RawObject


class Removed(NamedTuple):
    """`release` is the first release that does not serve the version, `instead` is what replaces it."""

    release: str
    instead: str


_ALL = "*"
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def _rows(version: str, kinds: Iterable[str], release: str, instead: str) -> dict[tuple[str, str], Removed]:
    return {(version, kind): Removed(release, instead) for kind in kinds}


_REMOVED: dict[tuple[str, str], Removed] = {
    **_rows("extensions/v1beta1", ("Deployment", "DaemonSet", "ReplicaSet"), "Kubernetes 1.16", "apps/v1"),
    **_rows("extensions/v1beta1", ["NetworkPolicy"], "Kubernetes 1.16", "networking.k8s.io/v1"),
    **_rows("extensions/v1beta1", ["PodSecurityPolicy"], "Kubernetes 1.16", "Pod Security Admission"),
    **_rows("extensions/v1beta1", ["Ingress"], "Kubernetes 1.22", "networking.k8s.io/v1"),
    **_rows("apps/v1beta1", _WORKLOADS, "Kubernetes 1.16", "apps/v1"),
    **_rows("apps/v1beta2", _WORKLOADS, "Kubernetes 1.16", "apps/v1"),
    **_rows(
        "networking.k8s.io/v1beta1", ("Ingress", "IngressClass"), "Kubernetes 1.22", "networking.k8s.io/v1"
    ),
    **_rows(
        "admissionregistration.k8s.io/v1beta1",
        ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
        "Kubernetes 1.22",
        "admissionregistration.k8s.io/v1",
    ),
    **_rows("apiextensions.k8s.io/v1beta1", [_ALL], "Kubernetes 1.22", "apiextensions.k8s.io/v1"),
    **_rows("apiregistration.k8s.io/v1beta1", [_ALL], "Kubernetes 1.22", "apiregistration.k8s.io/v1"),
    **_rows("rbac.authorization.k8s.io/v1beta1", [_ALL], "Kubernetes 1.22", "rbac.authorization.k8s.io/v1"),
    **_rows("rbac.authorization.k8s.io/v1alpha1", [_ALL], "Kubernetes 1.22", "rbac.authorization.k8s.io/v1"),
    **_rows(
        "certificates.k8s.io/v1beta1",
        ["CertificateSigningRequest"],
        "Kubernetes 1.22",
        "certificates.k8s.io/v1",
    ),
    **_rows("coordination.k8s.io/v1beta1", ["Lease"], "Kubernetes 1.22", "coordination.k8s.io/v1"),
    **_rows("scheduling.k8s.io/v1beta1", ["PriorityClass"], "Kubernetes 1.22", "scheduling.k8s.io/v1"),
    **_rows(
        "storage.k8s.io/v1beta1",
        ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"),
        "Kubernetes 1.22",
        "storage.k8s.io/v1",
    ),
    **_rows("storage.k8s.io/v1beta1", ["CSIStorageCapacity"], "Kubernetes 1.27", "storage.k8s.io/v1"),
    **_rows("batch/v2alpha1", ["CronJob"], "Kubernetes 1.21", "batch/v1"),
    **_rows("batch/v1beta1", ["CronJob"], "Kubernetes 1.25", "batch/v1"),
    **_rows("discovery.k8s.io/v1beta1", ["EndpointSlice"], "Kubernetes 1.25", "discovery.k8s.io/v1"),
    **_rows("events.k8s.io/v1beta1", ["Event"], "Kubernetes 1.25", "events.k8s.io/v1"),
    **_rows("policy/v1beta1", ["PodDisruptionBudget"], "Kubernetes 1.25", "policy/v1"),
    **_rows("policy/v1beta1", ["PodSecurityPolicy"], "Kubernetes 1.25", "Pod Security Admission"),
    **_rows("node.k8s.io/v1beta1", ["RuntimeClass"], "Kubernetes 1.25", "node.k8s.io/v1"),
    **_rows("autoscaling/v2beta1", ["HorizontalPodAutoscaler"], "Kubernetes 1.25", "autoscaling/v2"),
    **_rows("autoscaling/v2beta2", ["HorizontalPodAutoscaler"], "Kubernetes 1.26", "autoscaling/v2"),
    **_rows(
        "flowcontrol.apiserver.k8s.io/v1beta1", [_ALL], "Kubernetes 1.26", "flowcontrol.apiserver.k8s.io/v1"
    ),
    **_rows(
        "flowcontrol.apiserver.k8s.io/v1beta2", [_ALL], "Kubernetes 1.29", "flowcontrol.apiserver.k8s.io/v1"
    ),
    **_rows(
        "flowcontrol.apiserver.k8s.io/v1beta3", [_ALL], "Kubernetes 1.32", "flowcontrol.apiserver.k8s.io/v1"
    ),
    **_rows(
        "authentication.istio.io/v1alpha1",
        [_ALL],
        "Istio 1.6",
        "PeerAuthentication and RequestAuthentication of security.istio.io/v1",
    ),
    **_rows("rbac.istio.io/v1alpha1", [_ALL], "Istio 1.6", "AuthorizationPolicy of security.istio.io/v1"),
    **_rows(
        "config.istio.io/v1alpha2",
        [_ALL],
        "Istio 1.8",
        "Telemetry of telemetry.istio.io/v1 and AuthorizationPolicy of security.istio.io/v1",
    ),
    **_rows("networking.x-k8s.io/v1alpha1", [_ALL], "Gateway API 0.4", "gateway.networking.k8s.io/v1"),
    **_rows(
        "gateway.networking.k8s.io/v1alpha2",
        ("GatewayClass", "Gateway", "HTTPRoute"),
        "Gateway API 0.6",
        "gateway.networking.k8s.io/v1",
    ),
    **_rows(
        "gateway.networking.k8s.io/v1alpha2",
        ["ReferencePolicy"],
        "Gateway API 0.6",
        "ReferenceGrant of gateway.networking.k8s.io/v1",
    ),
    **_rows(
        "gateway.networking.k8s.io/v1alpha2", ["GRPCRoute"], "Gateway API 1.2", "gateway.networking.k8s.io/v1"
    ),
    **_rows(
        "gateway.networking.k8s.io/v1alpha2",
        ["ReferenceGrant"],
        "Gateway API 1.2",
        "gateway.networking.k8s.io/v1beta1",
    ),
}


def removal_of(raw: RawObject) -> Removed | None:
    """Since when the object's API version is not served; None while it is."""
    version, kind = str(raw.content.get("apiVersion")), str(raw.content.get("kind"))
    return _REMOVED.get((version, kind)) or _REMOVED.get((version, _ALL))


VERSION, KIND = "networking.k8s.io/v1", "NetworkPolicy"
GROUP = "networking.k8s.io"

ALIKE = 0.85
"""From this share of common letters on, a kind is taken for a misspelt one; `IngressClass` has 0.32."""


def misspelt_policy(raw: RawObject, *, is_known: bool) -> Iterator[Problem]:
    """A problem where a kind is nearly NetworkPolicy, or a NetworkPolicy has a version that there never was.

    Kinds that are `is_known` are spelt as they should be. Vendors have kinds of that name in groups of their
    own, with a domain (`crd.projectcalico.org`); versions that were served once are another matter
    (`removal_of`).
    """
    version, kind = str(raw.content.get("apiVersion")), str(raw.content.get("kind"))
    if is_known and kind != KIND:
        return
    group, _, _ = version.rpartition("/")
    if "." in group and group != GROUP:
        return
    if kind == KIND:
        if version != VERSION and removal_of(raw) is None:
            yield _problem(raw, "apiVersion", version, VERSION)
    elif SequenceMatcher(None, kind.lower(), KIND.lower()).ratio() >= ALIKE:
        yield _problem(raw, "kind", kind, KIND)


def _problem(raw: RawObject, field: str, value: str, meant: str) -> Problem:
    return Problem(
        raw.file,
        raw.line or None,
        str(reference_of(raw, "")).strip(),
        field,
        f'"{value}"',
        "is not served by any Kubernetes, so that the policy would not be there",
        f"write {meant}",
    )
