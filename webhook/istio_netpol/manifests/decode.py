"""Decodes plain objects into model values: one table of kinds, one path for problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode_api_extensions import decode_api_service, decode_crd, decode_webhooks
from istio_netpol.manifests.decode_control_plane import decode_config_map, decode_mutating_webhook
from istio_netpol.manifests.decode_core import (
    decode_endpoint_slice,
    decode_endpoints,
    decode_namespace,
    decode_node,
    decode_service,
)
from istio_netpol.manifests.decode_extensions import decode_envoy_filter, decode_wasm_plugin
from istio_netpol.manifests.decode_gateway_api import (
    decode_gateway_class,
    decode_kubernetes_gateway,
    decode_listener_set,
    decode_reference_grant,
    decode_route,
)
from istio_netpol.manifests.decode_ingress import decode_ingress, decode_ingress_class
from istio_netpol.manifests.decode_istio_networking import (
    decode_destination_rule,
    decode_gateway,
    decode_service_entry,
    decode_sidecar,
    decode_virtual_service,
    decode_workload_entry,
)
from istio_netpol.manifests.decode_istio_security import (
    decode_authorization_policy,
    decode_peer_authentication,
    decode_request_authentication,
    decode_telemetry,
)
from istio_netpol.manifests.decode_plugin_policies import (
    decode_calico_policy,
    decode_cilium_policy,
    decode_without_effect,
)
from istio_netpol.manifests.decode_policy import decode_policy
from istio_netpol.manifests.decode_selectors import SUBDOMAIN, labels_of
from istio_netpol.manifests.decode_tiers import (
    decode_admin_policy,
    decode_baseline_policy,
    decode_cluster_policy,
)
from istio_netpol.manifests.decode_workloads import decode_controller, decode_cron_job, decode_pod
from istio_netpol.manifests.fields import Fields, FieldsFromApi
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.acceptances import LONGEST
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.failures import NOT_CONTAINED, Failure, Undecoded
from istio_netpol.model.own_names import ACCEPT
from istio_netpol.model.references import NAMESPACE_REMEDY, ObjectRef, is_namespace_name
from istio_netpol.model.unread import SERVED, STORED

Decoder = Callable[[Fields, ObjectRef], Iterator[ClusterObject]]

_CALICO_OF_CLUSTER: dict[str, Decoder] = {
    "GlobalNetworkPolicy": decode_calico_policy,
    "StagedGlobalNetworkPolicy": decode_without_effect,
    "Tier": decode_without_effect,
}
_CALICO_NAMESPACED: dict[str, Decoder] = {
    "NetworkPolicy": decode_calico_policy,
    "StagedNetworkPolicy": decode_without_effect,
    "StagedKubernetesNetworkPolicy": decode_without_effect,
}
"""Calico's kinds, which its own API server serves in another group than the API server stores them in."""

CLUSTER_DECODERS: dict[tuple[str, str], Decoder] = {
    ("", "Namespace"): decode_namespace,
    ("", "Node"): decode_node,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): decode_mutating_webhook,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): decode_webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): decode_crd,
    ("apiregistration.k8s.io", "APIService"): decode_api_service,
    ("networking.k8s.io", "IngressClass"): decode_ingress_class,
    ("policy.networking.k8s.io", "AdminNetworkPolicy"): decode_admin_policy,
    ("policy.networking.k8s.io", "BaselineAdminNetworkPolicy"): decode_baseline_policy,
    ("policy.networking.k8s.io", "ClusterNetworkPolicy"): decode_cluster_policy,
    ("cilium.io", "CiliumClusterwideNetworkPolicy"): decode_cilium_policy,
    ("gateway.networking.k8s.io", "GatewayClass"): decode_gateway_class,
    **{(group, kind): decoder for group in (STORED, SERVED) for kind, decoder in _CALICO_OF_CLUSTER.items()},
}
"""The decoders of kinds whose objects belong to no namespace, by API group and kind."""

NAMESPACED_DECODERS: dict[tuple[str, str], Decoder] = {
    ("", "Pod"): decode_pod,
    ("", "Service"): decode_service,
    ("", "Endpoints"): decode_endpoints,
    ("", "ConfigMap"): decode_config_map,
    ("", "ReplicationController"): decode_controller,
    ("discovery.k8s.io", "EndpointSlice"): decode_endpoint_slice,
    ("apps", "Deployment"): decode_controller,
    ("apps", "StatefulSet"): decode_controller,
    ("apps", "DaemonSet"): decode_controller,
    ("apps", "ReplicaSet"): decode_controller,
    ("batch", "Job"): decode_controller,
    ("batch", "CronJob"): decode_cron_job,
    ("argoproj.io", "Rollout"): decode_controller,
    ("networking.k8s.io", "NetworkPolicy"): decode_policy,
    ("networking.k8s.io", "Ingress"): decode_ingress,
    ("cilium.io", "CiliumNetworkPolicy"): decode_cilium_policy,
    ("networking.istio.io", "VirtualService"): decode_virtual_service,
    ("networking.istio.io", "Gateway"): decode_gateway,
    ("networking.istio.io", "DestinationRule"): decode_destination_rule,
    ("networking.istio.io", "ServiceEntry"): decode_service_entry,
    ("networking.istio.io", "WorkloadEntry"): decode_workload_entry,
    ("networking.istio.io", "Sidecar"): decode_sidecar,
    ("networking.istio.io", "EnvoyFilter"): decode_envoy_filter,
    ("extensions.istio.io", "WasmPlugin"): decode_wasm_plugin,
    ("security.istio.io", "RequestAuthentication"): decode_request_authentication,
    ("security.istio.io", "AuthorizationPolicy"): decode_authorization_policy,
    ("security.istio.io", "PeerAuthentication"): decode_peer_authentication,
    ("telemetry.istio.io", "Telemetry"): decode_telemetry,
    ("gateway.networking.k8s.io", "Gateway"): decode_kubernetes_gateway,
    ("gateway.networking.k8s.io", "HTTPRoute"): decode_route,
    ("gateway.networking.k8s.io", "GRPCRoute"): decode_route,
    ("gateway.networking.k8s.io", "TCPRoute"): decode_route,
    ("gateway.networking.k8s.io", "TLSRoute"): decode_route,
    ("gateway.networking.k8s.io", "UDPRoute"): decode_route,
    ("gateway.networking.k8s.io", "ListenerSet"): decode_listener_set,
    ("gateway.networking.x-k8s.io", "XListenerSet"): decode_listener_set,
    ("gateway.networking.k8s.io", "ReferenceGrant"): decode_reference_grant,
    **{(group, kind): decoder for group in (STORED, SERVED) for kind, decoder in _CALICO_NAMESPACED.items()},
}
"""The decoders of kinds whose objects are in a namespace."""

DECODERS = {**CLUSTER_DECODERS, **NAMESPACED_DECODERS}
"""The decoders of what rules read, by API group and kind. Every served version of a group has the fields that
are read."""


def is_known(raw: RawObject) -> bool:
    """Whether some rule reads objects of this kind."""
    return _decoder(raw) is not None


def decode(raw: RawObject, default_namespace: str = "default") -> tuple[list[ClusterObject], list[Problem]]:
    """The model values of one object, and what is wrong with it: an object with problems has no values.

    An object of an unknown kind has neither. One whose decoder failed is `Undecoded`. `default_namespace` is
    the namespace of an object that names none.
    """
    decoder = _decoder(raw)
    if decoder is None:
        return [], []
    problems: list[Problem] = []
    ref = _reference(raw, default_namespace, problems)
    described = str(ref) if ref.name else f"{ref.kind} without a name"
    type_ = FieldsFromApi if raw.is_from_api else Fields
    fields = type_(raw.content, "", (raw.file, raw.line, described), problems)
    _check_metadata(fields)
    try:
        values = list(decoder(fields, ref))
    except NOT_CONTAINED:
        raise
    except Exception as error:
        values = [Undecoded(ref, Failure.of(f"decoder of {ref.kind}", error))]
    # A problem that two readers of a field both find is told once, by the one that knows the object's name.
    told = {(problem.field, problem.value, problem.cause, problem.remedy): problem for problem in problems}
    return ([], list(told.values())) if problems else (values, [])


def _decoder(raw: RawObject) -> Decoder | None:
    return DECODERS.get(kind_of(raw))


def kind_of(raw: RawObject) -> tuple[str, str]:
    """The API group and the kind that an object names."""
    group, _, _ = str(raw.content.get("apiVersion", "")).rpartition("/")
    return group, str(raw.content.get("kind", ""))


def reference_of(raw: RawObject, default_namespace: str) -> ObjectRef:
    """The reference to an object of any kind."""
    return _reference(raw, default_namespace, [])


def _reference(raw: RawObject, default_namespace: str, problems: list[Problem]) -> ObjectRef:
    kind = str(raw.content["kind"])
    metadata = raw.content.get("metadata")
    quiet = Fields(
        metadata if isinstance(metadata, dict) else {}, "metadata", (raw.file, raw.line, kind), problems
    )
    name = quiet.text("name") or quiet.text("generateName")
    namespace = "" if kind_of(raw) in CLUSTER_DECODERS else quiet.text("namespace") or default_namespace
    return ObjectRef(
        str(raw.content["apiVersion"]), kind, namespace, name, raw.file, raw.line, _accepts(metadata)
    )


def _accepts(metadata: object) -> str:
    """The annotation by which findings are accepted, as much of it as is read."""
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = annotations.get(ACCEPT) if isinstance(annotations, dict) else None
    return text[: LONGEST + 1] if isinstance(text, str) else ""


def _is_name(text: str, kind: str) -> bool:
    """Whether an object of a kind may have this name. An APIService's is version and group with a dot between
    them, and the core group has no name: `v1.` (validation.go of k8s.io/kube-aggregator)."""
    return len(text) <= 253 and bool(
        SUBDOMAIN.fullmatch(text.removesuffix(".") if kind == "APIService" else text)
    )


def _check_metadata(fields: Fields) -> None:
    metadata = fields.mapping("metadata")
    name, generated = metadata.content.get("name"), metadata.content.get("generateName")
    if name in (None, "") and not generated:
        metadata.problem("metadata.name", None, "is missing", "name the object")
    elif isinstance(name, str) and not _is_name(name, str(fields.content["kind"])):
        metadata.problem(
            "metadata.name", name, "is not an object name", "use lower-case letters, digits, '-' and '.'"
        )
    namespace = metadata.content.get("namespace")
    if namespace and isinstance(namespace, str) and not is_namespace_name(namespace):
        metadata.problem("metadata.namespace", namespace, "is not a namespace name", NAMESPACE_REMEDY)
    labels_of(metadata, "labels")
