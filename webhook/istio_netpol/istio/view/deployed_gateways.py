"""The pods that istiod deploys for a Gateway of the Gateway API, as its templates make them."""

from __future__ import annotations

from istio_netpol.istio.view.gateway_classes import GatewayRole
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.mesh_names import AMBIENT_LABEL, GATEWAY_API_GROUP, REVISION_LABEL
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service, ServicePort, has_internal_load_balancer
from istio_netpol.model.workloads import ContainerPort, Workload

GATEWAY_NAME_LABEL = f"{GATEWAY_API_GROUP}/gateway-name"
GATEWAY_CLASS_LABEL = f"{GATEWAY_API_GROUP}/gateway-class-name"
MANAGED_LABEL = "gateway.istio.io/managed"
NAME_OVERRIDE = "gateway.istio.io/name-override"
SERVICE_TYPE = "networking.istio.io/service-type"
SERVICE_ACCOUNT_OVERRIDE = "gateway.istio.io/service-account"

AGENT_WAYPOINT_CLASS = "istio-agentgateway-waypoint"
_CONTROLLER_LABELS = {
    GatewayRole.GATEWAY: "istio.io-gateway-controller",
    GatewayRole.AGENT_GATEWAY: "istio.io-agentgateway-controller",
    GatewayRole.WAYPOINT: "istio.io-mesh-controller",
    GatewayRole.EAST_WEST: "istio.io-eastwest-controller",
}
_BY_WAYPOINT_TEMPLATE = frozenset({GatewayRole.WAYPOINT, GatewayRole.EAST_WEST})
_PROXY_PORTS = (
    ContainerPort(15020, "metrics"),
    ContainerPort(15021, "status-port"),
    ContainerPort(15090, "http-envoy-prom"),
)


def to_be_deployed(
    gateway: KubernetesGateway, role: GatewayRole, name: str, *, in_ambient_mesh: bool
) -> Workload:
    """The pods of the Deployment that istiod will make; they bind the listeners' ports. `name` is what it is
    called unless an annotation says otherwise.

    Source: `kube-gateway.yaml`, `waypoint.yaml` and `agentgateway.yaml` of the istiod chart, and
    `deploymentcontroller.go` in `pilot/pkg/config/kube/gatewaycommon`, Istio 1.32.
    """
    ref = gateway.ref
    listening = (ContainerPort(listener.port) for listener in gateway.listeners)
    deployed = gateway.annotations.get(NAME_OVERRIDE) or name
    return Workload(
        ref=ObjectRef("apps/v1", "Deployment", ref.namespace, deployed, ref.file, ref.line),
        labels=_labels(gateway, role, deployed, in_ambient_mesh),
        selector=Selector.of({GATEWAY_NAME_LABEL: ref.name}),
        ports=tuple(dict.fromkeys((*listening, *_PROXY_PORTS))),
        service_account=gateway.annotations.get(SERVICE_ACCOUNT_OVERRIDE) or name,
        has_proxy=True,
    )


def service_to_be_deployed(gateway: KubernetesGateway, role: GatewayRole, name: str) -> Service:
    """The Service that istiod will make beside them, of the type that an annotation chooses."""
    ref = gateway.ref
    default = "ClusterIP" if role is GatewayRole.WAYPOINT else "LoadBalancer"
    return Service(
        ref=ObjectRef("v1", "Service", ref.namespace, gateway.annotations.get(NAME_OVERRIDE) or name),
        ports=tuple(
            ServicePort(listener.port, listener.port, listener.name) for listener in gateway.listeners
        ),
        selector={GATEWAY_NAME_LABEL: ref.name},
        type=gateway.annotations.get(SERVICE_TYPE) or default,
        is_internal=has_internal_load_balancer(gateway.service_annotations),
    )


def _labels(gateway: KubernetesGateway, role: GatewayRole, name: str, in_ambient_mesh: bool) -> Labels:
    """The template's own labels, which those of `infrastructure` (without it the Gateway's) replace, and the
    labels that nobody replaces."""
    chosen = gateway.labels if gateway.pod_labels is None else gateway.pod_labels
    given = {key: value for key, value in chosen.items() if not key.startswith(f"{GATEWAY_API_GROUP}/")}
    is_out_of_ambient = role in _BY_WAYPOINT_TEMPLATE or (
        in_ambient_mesh and AMBIENT_LABEL not in gateway.labels
    )
    revision = {key: value for key, value in gateway.labels.items() if key == REVISION_LABEL}
    is_agent_waypoint = gateway.class_name == AGENT_WAYPOINT_CLASS
    return {
        "sidecar.istio.io/inject": "false",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
        **({AMBIENT_LABEL: "none"} if is_out_of_ambient else {}),
        **given,
        **revision,
        GATEWAY_NAME_LABEL: gateway.ref.name,
        GATEWAY_CLASS_LABEL: gateway.class_name,
        MANAGED_LABEL: "istio.io-agentgateway-waypoint-controller"
        if is_agent_waypoint
        else _CONTROLLER_LABELS[role],
    }
