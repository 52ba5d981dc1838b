"""Finds where istiod is, as a pod's connection to it is seen on the wire, and how it is set up."""

from __future__ import annotations

import re
from functools import cached_property

from istio_netpol.istio.view.backends import Backend, Backends, target_on
from istio_netpol.istio.view.injectors import canonical_revision
from istio_netpol.istio.view.service_registry import Hosts
from istio_netpol.istio.view.stand_ins import StandIn, StandIns
from istio_netpol.model.addresses import parse_host_port
from istio_netpol.model.connections import Protocol
from istio_netpol.model.control_plane import PROXY_CONFIG_ANNOTATION, REVISION_LABEL, MeshConfig
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reader import Reader, question
from istio_netpol.trust.authority import trusted_namespaces

ISTIOD_SELECTOR = Selector.of({"app": "istiod"})
_DISCOVERY_ADDRESS = re.compile(r"""["']?\bdiscoveryAddress["']?\s*:\s*["']?([^\s"',}]+)""")
_DISCOVERY_SERVICE_PORT = 15012
PLAIN_DISCOVERY_PORT = 15010
_ON = frozenset({"1", "t", "true", "hybrid", "envoy"})


class ControlPlane:
    """Answers what every proxy depends on, by one reader."""

    def __init__(
        self, reader: Reader, settings: Settings, hosts: Hosts, backends: Backends, stand_ins: StandIns
    ) -> None:
        self.reader = reader
        self._settings = settings
        self._hosts = hosts
        self._backends = backends
        self._stand_ins = stand_ins
        reader.take(self)

    @question
    def real_istiods(self) -> tuple[Workload, ...]:
        """The istiod pods where only administrators write. Elsewhere anybody can label pods like this, and
        every proxy would connect to them."""
        labelled = self.reader.pods_anywhere(ISTIOD_SELECTOR)
        return tuple(pods for pods in labelled if pods.namespace in self._administered)

    @question
    def _stand_in(self) -> StandIn:
        """The istiod that is assumed where no administrator runs one."""
        others = {pods.namespace for pods in self.reader.pods_anywhere(ISTIOD_SELECTOR)} - self._administered
        return self._stand_ins.istiod(tuple(sorted(others)))

    @question
    def scopes_gateways(self) -> bool:
        """Whether a Gateway selects pods of its own namespace only."""
        on = self._settings.mesh.scope_gateway_to_namespace
        return on or self._is_on("PILOT_SCOPE_GATEWAY_TO_NAMESPACE")

    @question
    def proxies_fetch_jwks(self) -> bool:
        """Whether proxies fetch the JWKS of hosts that Istio knows."""
        return self._settings.mesh.remote_jwks or self._is_on("PILOT_JWT_ENABLE_REMOTE_JWKS")

    @question
    def may_be_ambient(self) -> bool:
        """Whether istiod takes care of ambient mode, as far as the input tells: an istiod says so itself
        (`pilot/pkg/features/ambient.go`, Istio 1.32), and one that is not in the input may."""
        return not self.real_istiods() or self._is_on("PILOT_ENABLE_AMBIENT")

    def _is_on(self, switch: str) -> bool:
        """Whether an istiod of the input has a feature switched on (`pilot/pkg/features`, Istio 1.28)."""
        return any(istiod.switches.get(switch, "").lower() in _ON for istiod in self.real_istiods())

    def set_to(self, variable: str, otherwise: str) -> frozenset[str]:
        """The values that the istiods of the input have for a variable of theirs; `otherwise` is the value of
        an istiod that does not set it, or is not in the input."""
        real = self.real_istiods()
        return frozenset(istiod.switches.get(variable) or otherwise for istiod in real) or frozenset(
            {otherwise}
        )

    def istiods(self, revision: str) -> tuple[Workload, ...]:
        """The istiod pods of a revision.

        A name that no istiod carries is a tag, which may point to any of them.
        """
        real, wanted = self.real_istiods(), canonical_revision(revision)
        if not real:
            return (self._stand_in().workload,)
        return tuple(pods for pods in real if revision_of(pods) == wanted) or real

    def service_of(self, istiod: Workload) -> Service | None:
        """The Service in front of an istiod: `istiod`, or `istiod-<revision>`."""
        revision = revision_of(istiod)
        names = (f"istiod-{revision}", "istiod") if revision else ("istiod",)
        found = (self.reader.find(Service, istiod.namespace, name) for name in names)
        return next(
            (
                backend
                for backend in found
                if backend and backend.selector and backend.selector.items() <= istiod.labels.items()
            ),
            None,
        )

    def port_of(self, istiod: Workload, service_port: int, otherwise: int) -> int:
        """The pods' port behind a port of the istiod Service; `otherwise` where no Service says."""
        service = self.service_of(istiod)
        ports = service.ports if service else ()
        return next(
            (n for declared in ports if declared.port == service_port and (n := target_on(istiod, declared))),
            otherwise,
        )

    def discovery_port(self, istiod: Workload) -> int:
        return self.port_of(istiod, _DISCOVERY_SERVICE_PORT, self._settings.mesh.discovery_port)

    def discovery(self, client: Workload, revision: str) -> tuple[Backend, ...]:
        """What a proxy connects to for its configuration and certificate."""
        return self._discovery(revision, self.discovery_address(client, revision))

    @question
    def _discovery(self, revision: str, address: str) -> tuple[Backend, ...]:
        return self._named(address) or self._of_istiods(revision)

    def discovery_address(self, client: Workload, revision: str) -> str:
        """The `host:port` that a proxy is told to get its configuration from; empty where that is istiod."""
        if address := annotated_address(client):
            return address
        config = self.mesh_config(revision)
        # The config of another control plane names that one's istiod.
        is_own = config is not None and config.revision == canonical_revision(revision)
        return config.discovery_address if config and is_own else ""

    @question
    def plain_discovery(self) -> tuple[Backend, ...]:
        """What a gRPC library without a proxy gets its configuration from, whatever the revision: its
        bootstrap names port 15010 of the Service `istiod` (`files/grpc-simple.yaml` of the `istiod` chart,
        Istio 1.31)."""
        service = self.reader.find(Service, self._settings.mesh.root_namespace, "istiod")
        if service is not None:
            return self._backends.of_service(service, PLAIN_DISCOVERY_PORT)
        return tuple(
            Backend(PodsPeer(istiod), Protocol.TCP, PLAIN_DISCOVERY_PORT) for istiod in self.istiods("")
        )

    def _named(self, address: str) -> tuple[Backend, ...]:
        """What a discoveryAddress, `host:port`, stands for; nothing where its Service is not in the input."""
        place = parse_host_port(address)
        if place is None:
            return ()
        host, port = place
        return self._backends.of_host(host, self._settings.mesh.root_namespace, port)

    def _of_istiods(self, revision: str) -> tuple[Backend, ...]:
        return tuple(
            Backend(PodsPeer(istiod), Protocol.TCP, self.discovery_port(istiod))
            for istiod in self.istiods(revision)
        )

    @question
    def mesh_config(self, revision: str) -> MeshConfig | None:
        """The mesh config of a revision, of the root namespace first; the default one where it has none."""
        wanted = canonical_revision(revision)
        ranked = sorted(
            (config for config in self._mesh_configs() if config.revision in (wanted, "")),
            key=lambda config: (
                config.revision != wanted,
                config.ref.namespace != self._settings.mesh.root_namespace,
            ),
        )
        return ranked[0] if ranked else None

    @question
    def _mesh_configs(self) -> tuple[MeshConfig, ...]:
        found = self.reader.every(MeshConfig)
        return tuple(config for config in found if config.ref.namespace in self._administered)

    @question
    def root_namespace(self) -> str:
        """The namespace of mesh-wide objects."""
        config = self.mesh_config("")
        named = config.root_namespace if config else ""
        return named or self._settings.mesh.root_namespace

    @question
    def trusted_namespaces(self) -> frozenset[str]:
        """The namespaces in which only administrators write."""
        return trusted_namespaces(self._settings, self.root_namespace())

    @cached_property
    def _administered(self) -> frozenset[str]:
        """The namespaces in which only administrators write, as settings name them: what the mesh config adds
        to them is read here."""
        return trusted_namespaces(self._settings)


def revision_of(istiod: Workload) -> str:
    """The revision that istiod pods serve; empty for the default one."""
    return canonical_revision(istiod.labels.get(REVISION_LABEL, ""))


def annotated_address(client: Workload) -> str:
    """The discoveryAddress that the pods' own annotation names; empty without one."""
    found = _DISCOVERY_ADDRESS.search(client.annotations.get(PROXY_CONFIG_ANNOTATION, ""))
    return found.group(1) if found else ""
