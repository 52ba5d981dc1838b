"""Tells what Istio makes of a Gateway of the Gateway API, by the controller that its GatewayClass names.

A class that the input does not hold is Istio's by its name alone: istiod serves its own classes before their
objects exist, and makes these itself.

Source: `ClassInfos` and `FetchGatewayClass` in `pilot/pkg/config/kube/gatewaycommon`, Istio 1.31.
"""

from __future__ import annotations

from enum import StrEnum

from istio_netpol.istio.view.control_plane import ControlPlane
from istio_netpol.model.gateway_api import GatewayClass, KubernetesGateway
from istio_netpol.model.settings import Settings
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
