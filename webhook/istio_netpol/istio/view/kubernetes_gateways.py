"""Tells what Istio makes of a Gateway of the Gateway API: its role, by the controller that its GatewayClass
names, and the pods that istiod deploys for it.

A class that the input does not hold is Istio's by its name alone: istiod serves its own classes before their
objects exist, and makes these itself.

Source: `ClassInfos` and `FetchGatewayClass` in `pilot/pkg/config/kube/gatewaycommon`, Istio 1.31.
"""

from __future__ import annotations

from enum import StrEnum

from istio_netpol.istio.view.control_plane import ControlPlane
from istio_netpol.model.control_plane import AMBIENT_LABEL, REVISION_LABEL
from istio_netpol.model.gateway_api import GATEWAY_API_GROUP, GatewayClass, KubernetesGateway
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service, ServicePort, has_internal_load_balancer
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.state.reader import Reader, question

WAYPOINT_FOR = "istio.io/waypoint-for"


class GatewayRole(StrEnum):
    """How a Gateway is treated: a `remote` one runs elsewhere and is only registered, a `foreign` one is
    another controller's, and for an `unknown` class nobody says whose it is."""

    GATEWAY = "gateway"
    AGENT_GATEWAY = "agent gateway"
    WAYPOINT = "waypoint"
    EAST_WEST = "east-west"
    REMOTE = "remote"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


_CONTROLLERS = {
    "istio.io/mesh-controller": GatewayRole.WAYPOINT,
    "istio.io/eastwest-controller": GatewayRole.EAST_WEST,
    "istio.io/unmanaged-gateway": GatewayRole.REMOTE,
}
_NAMES = {
    "istio-waypoint": GatewayRole.WAYPOINT,
    "istio-east-west": GatewayRole.EAST_WEST,
    "istio-remote": GatewayRole.REMOTE,
}
_AGENT_NAMES = {
    "istio-agentgateway": GatewayRole.AGENT_GATEWAY,
    "istio-agentgateway-waypoint": GatewayRole.WAYPOINT,
}
"""Recognised by name alone, whatever controller an object of the name has."""

DEFAULT_CLASS = "istio"
DEPLOYED = frozenset(
    {GatewayRole.GATEWAY, GatewayRole.AGENT_GATEWAY, GatewayRole.WAYPOINT, GatewayRole.EAST_WEST}
)
"""The roles whose pods istiod deploys."""


class GatewayClasses:
    """Tells roles, by one reader."""

    def __init__(self, reader: Reader, settings: Settings, control_plane: ControlPlane) -> None:
        self.reader = reader
        self._settings = settings
        self._control_plane = control_plane
        reader.take(self)

    def role(self, gateway: KubernetesGateway) -> GatewayRole:
        """How a Gateway is treated."""
        return self._role(gateway.class_name)

    @question
    def _role(self, class_name: str) -> GatewayRole:
        if class_name in _AGENT_NAMES:
            return _AGENT_NAMES[class_name]
        found = self.reader.find(GatewayClass, "", class_name)
        if found is not None:
            own = found.controller in self._controllers()
            return GatewayRole.GATEWAY if own else _CONTROLLERS.get(found.controller, GatewayRole.FOREIGN)
        default = self._control_plane.set_to("PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME", DEFAULT_CLASS)
        if class_name in default:
            return GatewayRole.GATEWAY
        return _NAMES.get(class_name, GatewayRole.UNKNOWN)

    def _controllers(self) -> frozenset[str]:
        otherwise = self._settings.mesh.gateway_controller
        return self._control_plane.set_to("PILOT_GATEWAY_API_CONTROLLER_NAME", otherwise)

    def waypoint_for(self, gateway: KubernetesGateway) -> str:
        """What a waypoint serves: what its label says, otherwise its class's label, otherwise Services
        (`makeWaypoint` and its callers in `pilot/pkg/serviceregistry/ambient/waypoints.go`, Istio 1.31)."""
        own = gateway.labels.get(WAYPOINT_FOR)
        if own is not None:
            return own
        found = self.reader.find(GatewayClass, "", gateway.class_name)
        return found.labels.get(WAYPOINT_FOR, "service") if found else "service"

    def deployed_name(self, gateway: KubernetesGateway) -> str:
        """The name of the Deployment that istiod makes for a Gateway: of the default controller's with its
        class at the end (`GetDefaultName`); empty where it makes none."""
        role = self.role(gateway)
        if role is GatewayRole.GATEWAY:
            return f"{gateway.ref.name}-{gateway.class_name}"
        return gateway.ref.name if role in DEPLOYED else ""


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
_DECLARED_PROXY_PORTS = (
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
        ports=tuple(dict.fromkeys((*listening, *_DECLARED_PROXY_PORTS))),
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
