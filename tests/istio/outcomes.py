"""What a flow rule says of an object, as short lines of text, and the objects that its tests are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from tests.values import deployment, namespace

from istio_netpol.istio.rule import Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.witness import agreed
from istio_netpol.model.connections import Protocol
from istio_netpol.model.control_plane import ExtensionProvider, MeshConfig
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import AnyPeer, HostPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Namespace, Workload
from istio_netpol.state.snapshot import Snapshot

DEFAULTS = Settings()
API_VERSIONS = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "Gateway": "gateway.networking.k8s.io/v1",
    "GatewayClass": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "IngressClass": "networking.k8s.io/v1",
    "ListenerSet": "gateway.networking.k8s.io/v1",
    "UDPRoute": "gateway.networking.k8s.io/v1alpha2",
    "XListenerSet": "gateway.networking.x-k8s.io/v1alpha1",
    "ReferenceGrant": "gateway.networking.k8s.io/v1beta1",
    "RequestAuthentication": "security.istio.io/v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Telemetry": "telemetry.istio.io/v1",
}


def outcomes(
    rule: Rule, subject: Any, *others: Any, settings: Settings = DEFAULTS
) -> list[RequiredFlow | Finding]:
    """Everything that the rule yields in a cluster of the subject and the others."""
    view = MeshView(Snapshot.of([subject, *others]), settings)
    return [agreed(outcome, view) for outcome in rule.outcomes(subject, view)]


def flows(rule: Rule, subject: Any, *others: Any, settings: Settings = DEFAULTS) -> list[str]:
    """The flows as `source -> destination PROTOCOL port`, each once, sorted."""
    found = outcomes(rule, subject, *others, settings=settings)
    return sorted({line(outcome) for outcome in found if isinstance(outcome, RequiredFlow)})


def findings(rule: Rule, subject: Any, *others: Any, settings: Settings = DEFAULTS) -> list[str]:
    """The findings as `rule severity: message`."""
    found = outcomes(rule, subject, *others, settings=settings)
    return [
        f"{outcome.rule} {outcome.severity}: {outcome.message}"
        for outcome in found
        if isinstance(outcome, Finding)
    ]


def first_flow(rule: Rule, subject: Any, *others: Any, settings: Settings = DEFAULTS) -> RequiredFlow:
    found = outcomes(rule, subject, *others, settings=settings)
    return next(outcome for outcome in found if isinstance(outcome, RequiredFlow))


def line(flow: RequiredFlow) -> str:
    return f"{peer(flow.source)} -> {peer(flow.destination)} {flow.protocol} {flow.port}"


def peer(end: Peer) -> str:
    match end:
        case PodsPeer(workload=workload):
            return f"{workload.namespace}/{workload.name}"
        case HostPeer(host=host):
            return host
        case AnyPeer():
            return "any"
    return end.text


def ref(kind: str, key: str) -> ObjectRef:
    """The reference of `namespace/name`."""
    where, _, name = key.partition("/")
    return ObjectRef(API_VERSIONS.get(kind, "networking.istio.io/v1"), kind, where, name)


def service(
    key: str,
    *ports: int | tuple[int, int | str] | ServicePort,
    selector: Mapping[str, str] | None = None,
    **fields: Any,
) -> Service:
    """The Service `namespace/name` of pods labelled `app=<name>`: ports as `80` or `(80, target)`."""
    name = key.partition("/")[2]
    declared = []
    for port in ports or (80,):
        if isinstance(port, ServicePort):
            declared.append(port)
        else:
            number, target = port if isinstance(port, tuple) else (port, port)
            declared.append(ServicePort(number, target))
    chosen = {"app": name} if selector is None else selector
    return Service(ref("Service", key), tuple(declared), selector=chosen or None, **fields)


def injected(name: str, **labels: str) -> Namespace:
    """A namespace whose pods get a sidecar."""
    return namespace(name, **{"istio-injection": "enabled", **labels})


def ambient(name: str, **labels: str) -> Namespace:
    """A namespace in ambient mode."""
    return namespace(name, **{"istio.io/dataplane-mode": "ambient", **labels})


def listening(key: str, *numbers: int, **fields: Any) -> Workload:
    """The Deployment `namespace/name` with these TCP ports."""
    return replace(deployment(key, *(ContainerPort(number) for number in numbers)), **fields)


def istiod(namespace: str = "istio-system") -> Workload:
    return deployment(f"{namespace}/istiod", ContainerPort(15012), app="istiod", istio="pilot")


def gateway_api_gateway(key: str, *ports: int, class_name: str = "istio", **fields: Any) -> KubernetesGateway:
    listeners = tuple(Listener(f"port-{port}", port, "HTTP") for port in ports or (80,))
    return KubernetesGateway(ref("Gateway", key), class_name, listeners, **fields)


def waypoint(key: str, **fields: Any) -> KubernetesGateway:
    listeners = (Listener("mesh", 15008, "HBONE"),)
    return KubernetesGateway(ref("Gateway", key), "istio-waypoint", listeners, **fields)


def mesh_config(*providers: ExtensionProvider, **fields: Any) -> MeshConfig:
    return MeshConfig(ref("ConfigMap", "istio-system/istio"), extension_providers=providers, **fields)


def udp(number: int, target: int) -> ServicePort:
    return ServicePort(number, target, protocol=Protocol.UDP)
