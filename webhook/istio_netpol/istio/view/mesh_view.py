"""Answers what flow rules ask of a snapshot: who is in the mesh, who controls it, what is behind a name."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from istio_netpol.istio.view.api_server import ApiServer, ApiServerTarget, WebhookCallers
from istio_netpol.istio.view.backends import Backend, Backends
from istio_netpol.istio.view.cluster_dns import ClusterDns, DnsTarget
from istio_netpol.istio.view.control_plane import ControlPlane
from istio_netpol.istio.view.gateways import Gateways
from istio_netpol.istio.view.injection import Injection, injection_of, is_captured
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.istio.view.kubernetes_gateways import GatewayClasses, GatewayRole
from istio_netpol.istio.view.object_queries import ObjectQueries
from istio_netpol.istio.view.service_registry import Hosts, OwnAddresses, ServiceAt
from istio_netpol.istio.view.stand_ins import StandIns, assumptions_in
from istio_netpol.model.addresses import Address, AddressSet
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.connections import Protocol
from istio_netpol.model.control_plane import MeshConfig
from istio_netpol.model.failures import TooMuchError
from istio_netpol.model.flows import Peer
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.istio_networking import Gateway, ServiceEntry
from istio_netpol.model.labels import Labels
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reader import NO_ANSWERS, EarlierAnswers, Reader
from istio_netpol.state.reads import Read
from istio_netpol.state.snapshot import Snapshot

T = TypeVar("T")

__all__ = ["Backend", "Injection", "MeshView"]


class MeshView(ObjectQueries):
    """A cluster as flow rules see it: its objects, and what they come to together.

    `answers` are those of questions that were asked of the cluster before, `stale` the ones that must be
    asked anew.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        settings: Settings,
        answers: EarlierAnswers = NO_ANSWERS,
        stale: Collection[Read] = frozenset(),
    ) -> None:
        reader = Reader(snapshot, answers, stale)
        super().__init__(reader, settings)
        self._stand_ins = StandIns(reader, settings)
        mesh = settings.mesh
        self._hosts = Hosts(reader, mesh.cluster_domain, mesh.root_namespace, lambda: self.trusted_namespaces)
        self._own = OwnAddresses(reader, lambda: self.trusted_namespaces)
        self._backends = Backends(reader, self._hosts, self._own)
        self._control_plane = ControlPlane(reader, settings, self._hosts, self._backends, self._stand_ins)
        self._dns = ClusterDns(reader, settings, self._backends, self._stand_ins)
        self._api_server = ApiServer(reader, settings, self._backends, lambda: self.trusted_namespaces)
        self._webhook_callers = WebhookCallers(reader, settings, self._stand_ins)
        self._classes = classes = GatewayClasses(reader, settings, self._control_plane)
        self._gateways = Gateways(
            reader, settings, self._hosts, self._backends, self._control_plane, self._stand_ins, classes
        )
        self._injectors = Injectors(reader, settings.mesh.root_namespace)
        self._injections: dict[Workload, tuple[Injection, frozenset[Read]]] = {}
        self._are_gateways: dict[Workload, tuple[bool, frozenset[Read]]] = {}
        self._of_services: dict[Hashable, tuple[tuple[Backend, ...], frozenset[Read]]] = {}
        self._of_entries: dict[Hashable, tuple[tuple[Backend, ...], frozenset[Read]]] = {}

    # Workloads

    def injection(self, workload: Workload) -> Injection:
        """Whether the workload's pods get, or have, an Istio proxy."""
        return self._of_pods(workload, self._injections, self._injection_of)

    def _of_pods(
        self, pods: Workload, known: dict[Workload, tuple[T, frozenset[Read]]], ask: Callable[[Workload], T]
    ) -> T:
        """What is asked of the same pods again and again, for as long as this view lasts."""
        self.spend(1)
        found = known.get(pods)
        if found is None:
            left, self._left = self._left, math.inf
            try:
                found = known[pods] = self.noting(lambda: ask(pods))
            finally:
                self._left = left
        self._reader.note(found[1])
        return found[0]

    def _injection_of(self, workload: Workload) -> Injection:
        namespace = self._reader.namespace(workload.namespace)
        return injection_of(workload, namespace, self.settings.mesh, self._injectors)

    def is_ambient(self, workload: Workload) -> bool:
        """Whether ztunnel carries the pods' traffic."""
        has_proxy = self.injection(workload).injected or self.is_gateway(workload)
        return is_captured(workload, self._reader.namespace(workload.namespace), has_proxy)

    def is_gateway(self, workload: Workload) -> bool:
        """Whether the pods run a gateway proxy: ingress, egress or east-west gateways, waypoints."""
        return self._of_pods(workload, self._are_gateways, self._is_gateway)

    def _is_gateway(self, workload: Workload) -> bool:
        return self._gateways.is_gateway(workload, self.injection(workload).injected)

    def in_mesh(self, workload: Workload) -> bool:
        """Whether the pods have a sidecar, are gateways, or are captured by ambient mode."""
        return self.injection(workload).injected or self.is_gateway(workload) or self.is_ambient(workload)

    # Control plane

    def istiods(self, revision: str = "") -> tuple[Workload, ...]:
        """The istiod pods of a revision (empty: the default one), or the stand-in."""
        return self._control_plane.istiods(revision)

    def every_istiod(self) -> tuple[Workload, ...]:
        """The istiod pods of all revisions, or the stand-in: each acts on every object of the mesh."""
        return self._control_plane.real_istiods() or self.istiods()

    def discovery_port(self, istiod: Workload) -> int:
        """The istiod pods' port for xDS over mutual TLS: what is behind 15012 of their Service."""
        return self._control_plane.discovery_port(istiod)

    def injection_webhook_port(self, istiod: Workload) -> int:
        """The istiod pods' port behind 443 of their Service."""
        return self._control_plane.port_of(istiod, 443, self.settings.mesh.injection_webhook_port)

    def discovery(self, client: Workload, revision: str) -> tuple[Backend, ...]:
        """What the workload's proxies of a revision get configuration from: istiod, or their
        discoveryAddress."""
        return self._control_plane.discovery(client, revision)

    def plain_discovery(self) -> tuple[Backend, ...]:
        """What gRPC libraries without a proxy get configuration from, without TLS."""
        return self._control_plane.plain_discovery()

    def certificate_authority(self, revision: str) -> str:
        """`host:port` of who signs the certificates of a revision's proxies; empty where istiod does."""
        config = self._injectors.config(revision)
        return config.ca_address if config else ""

    def dns_targets(self) -> tuple[DnsTarget, ...]:
        """The peers that answer DNS, and on which port: pods, node-local-dns where it runs, addresses of the
        settings, or the stand-in."""
        return self._dns.targets()

    def api_server(self, client: Workload) -> tuple[ApiServerTarget, ...]:
        """What the client's pods may dial for the API server, as policies see it."""
        self.spend(1)
        return self._api_server.targets(client)

    def api_server_endpoints(self) -> AddressSet:
        """The addresses behind Service default/kubernetes; empty if unknown."""
        return self._api_server.endpoints()

    def webhook_callers(self) -> tuple[Peer, ...]:
        """The pods out of which the API server calls webhooks, or a peer that nobody knows."""
        return self._webhook_callers.all()

    @property
    def proxies_fetch_jwks(self) -> bool:
        """Whether proxies fetch the JWKS of hosts that Istio knows, instead of istiod."""
        return self._control_plane.proxies_fetch_jwks()

    def mesh_config(self, revision: str = "") -> MeshConfig | None:
        return self._control_plane.mesh_config(revision)

    @property
    def root_namespace(self) -> str:
        """The namespace of mesh-wide objects."""
        return self._control_plane.root_namespace()

    @property
    def trusted_namespaces(self) -> frozenset[str]:
        """The namespaces in which only administrators write."""
        return self._control_plane.trusted_namespaces()

    def is_stand_in(self, workload: Workload) -> bool:
        """Whether a workload is assumed, not read. No policy applies to it."""
        return workload.ref.is_assumed

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was assumed so far, sorted."""
        return assumptions_in(self._reader.found)

    # Gateways

    def gateway_workloads(self, gateway: Gateway) -> tuple[Workload, ...]:
        """The pods that a Gateway selects, or the stand-in."""
        return self._gateways.of(gateway)

    def kubernetes_gateway_workloads(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        """The pods of a Gateway API gateway or waypoint, as they will be where they do not run yet."""
        return self._gateways.of_kubernetes(gateway)

    def gateway_services(self, gateway: KubernetesGateway, pods: Workload) -> tuple[Service, ...]:
        """The Services in front of a Gateway's pods, as they will be where there are none yet."""
        self.spend(1)
        return self._gateways.services_of(gateway, pods)

    def predicted_gateway_workloads(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        """The pods that istiod has yet to deploy for a gateway: no subjects themselves, so it tells their
        needs."""
        return self._gateways.yet_to_come(gateway)

    def east_west_gateways(self) -> tuple[Gateway, ...]:
        """The Gateways that pass on what other networks send."""
        self.spend(1)
        return self._gateways.east_west()

    def is_served(self, pods: Workload) -> bool:
        """Whether a Gateway of the input, of whichever kind, opens ports on gateway pods."""
        self.spend(1)
        return self._gateways.is_served(pods)

    def predicted_workloads(self, namespace: str) -> tuple[Workload, ...]:
        """The pods that istiod has yet to deploy into a namespace."""
        gateways = self.all(KubernetesGateway, namespace)
        return tuple(pod for gateway in gateways for pod in self._gateways.yet_to_come(gateway))

    def assumed_ingress_gateway(self) -> Workload | None:
        """The stand-in for the mesh's ingress gateway, unless the input holds a gateway."""
        return self._gateways.assumed_ingress()

    def assumed_gateway(self, namespace: str, name: str) -> Workload | None:
        """The stand-in for the pods of a Gateway that is not in the input, unless that holds a gateway."""
        return self._gateways.assumed_for(namespace, name)

    def find_kubernetes_gateway(self, namespace: str, name: str) -> KubernetesGateway | None:
        self.spend(1)
        return self._reader.find(KubernetesGateway, namespace, name, kind="Gateway")

    def gateway_role(self, gateway: KubernetesGateway) -> GatewayRole:
        """How a Gateway API gateway is treated, by the controller of its class."""
        return self._classes.role(gateway)

    def is_waypoint(self, gateway: KubernetesGateway) -> bool:
        """Whether a Gateway is a waypoint of ambient mode."""
        return self._classes.role(gateway) is GatewayRole.WAYPOINT

    def waypoint_for(self, gateway: KubernetesGateway) -> str:
        """What a waypoint serves: `service`, `workload`, `all` or `none`."""
        return self._classes.waypoint_for(gateway)

    # Names

    def full_name(self, host: str, namespace: str) -> str:
        """The host as istiod knows it: a name without a dot is a Service of the namespace."""
        return self._hosts.full_name(host, namespace)

    def service_host(self, service: Service) -> str:
        """The name of a Service in full, by which Istio's objects know it."""
        return self.full_name(service.name, service.namespace)

    def resolve_host(
        self, host: str, namespace: str, authors: tuple[str, ...] = ()
    ) -> Service | ServiceEntry | None:
        """The Service or ServiceEntry that a host means to an object of the namespace.

        Knows `name`, `name.namespace`, `name.namespace.svc` and full names; for other hosts the ServiceEntry
        that is exported to the namespace, exact ones before wildcards. A Service goes before a ServiceEntry
        of the same host, as in istiod's registry. ServiceEntries are heeded where the namespace itself, one
        of the `authors`, or administrators wrote them: no other tenant says where a client connects."""
        self.spend(1)
        return self._hosts.service(host, namespace) or self._hosts.entry(host, namespace, authors)

    def unheeded_entry(self, host: str, namespace: str) -> ServiceEntry | None:
        """The ServiceEntry of another tenant that proxies of the namespace follow for a host, and that is not
        heeded here; None where one that is heeded goes before it."""
        self.spend(1)
        hosts = self._hosts
        if hosts.service(host, namespace) is not None:
            return None
        followed = hosts.followed_entry(host, namespace)
        return followed if followed is not hosts.entry(host, namespace) else None

    def find_service(self, namespace: str, name: str) -> Service | None:
        return self.find(Service, namespace, name)

    def backends(
        self, service: Service, port: int | None, subset: Labels | None = None
    ) -> tuple[Backend, ...]:
        """What answers on a port of a Service (None: on all of them), with the pods' own ports."""
        self.spend(1)
        key = (service.ref, port, tuple(sorted(subset.items())) if subset else ())
        found = self._of_services.get(key)
        if found is None:
            found = self._of_services[key] = self.noting(
                lambda: self._backends.of_service(service, port, subset)
            )
        return self._paid_for(key, found)

    def _paid_for(
        self, key: Hashable, found: tuple[tuple[Backend, ...], frozenset[Read]]
    ) -> tuple[Backend, ...]:
        """Backends, each of which costs one lookup when they are first asked for."""
        self._reader.note(found[1])
        if key not in self._paid:
            self._paid.add(key)
            self.spend(len(found[0]))
        return found[0]

    def undeclared(
        self, service: Service, ports: tuple[int, ...], subset: Labels | None = None
    ) -> tuple[tuple[Workload, str], ...]:
        """The pods behind a Service that lack a port of a name that one of these Service ports targets."""
        self.spend(1)
        return self._backends.undeclared(service, ports, subset)

    def service_pods(self, service: Service, subset: Labels | None = None) -> tuple[Workload, ...]:
        """The workloads that a Service selects, whatever ports they declare."""
        self.spend(1)
        return self._backends.pods(service, subset)

    def services_of(self, workload: Workload) -> tuple[Service, ...]:
        """The Services of the workload's namespace that select its pods, sorted by name."""
        self.spend(1)
        return self._backends.services_of(workload)

    def entry_backends(self, entry: ServiceEntry, port: int | None) -> tuple[Backend, ...]:
        """What answers for a ServiceEntry on one of its ports (None: on all of them)."""
        self.spend(1)
        return self._entry_backends(entry, port)

    def _entry_backends(self, entry: ServiceEntry, port: int | None) -> tuple[Backend, ...]:
        key = (entry.ref, port)
        found = self._of_entries.get(key)
        if found is None or len(found[0]) > self._most_backends:
            numbers = dict.fromkeys(declared.number for declared in entry.ports) if port is None else ()
            backends = (
                chain.from_iterable(self._entry_backends(entry, number) for number in numbers)
                if port is None
                else self._backends.of_entry(entry, port)
            )
            found = self._of_entries[key] = self.noting(lambda: tuple(self._counted(backends)))
        self._reader.note(found[1])
        return found[0]

    @property
    def _most_backends(self) -> float:
        """As many as one object may ask for: each would be a connection."""
        return self.settings.limits.flows_per_object if self._left < math.inf else math.inf

    def _counted(self, backends: Iterable[Backend]) -> Iterator[Backend]:
        """The backends, each once, as many as one object may ask for."""
        most, seen = self._most_backends, set[Backend]()
        for backend in backends:
            if backend in seen:
                continue
            if len(seen) >= most:
                raise TooMuchError(f"more than {most:,} connections", "limits.flowsPerObject")
            seen.add(backend)
            yield backend

    def address_backends(self, host: str, namespace: str, port: int) -> tuple[Backend, ...]:
        """What answers over TCP at a host or address: pods, where it names a Service of the cluster."""
        self.spend(1)
        return self._backends.of_host(host, namespace, port)

    def own_among(self, addresses: Iterable[Address]) -> frozenset[Hashable]:
        """Those of the addresses at which the cluster itself may answer: `behind_address` has nothing for the
        others."""
        self.spend(1)
        return self._own.among(addresses)

    def behind_address(
        self, address: Address, namespace: str, port: int, protocol: Protocol
    ) -> tuple[Backend, ...]:
        """What answers a namespace's packets to an address that is the cluster's own: a Service's, a node's
        or a pod's; nothing for any other."""
        self.spend(1)
        return self._backends.behind(address, namespace, port, protocol)

    def service_at(self, address: Address, port: int, protocol: Protocol, asker: str) -> ServiceAt | None:
        """The Service that answers a namespace's packets to an address, and the port of it that is meant."""
        self.spend(1)
        return self._own.service_at(address, port, protocol, asker)

    def subset_labels(self, host: str, subset: str, namespace: str) -> Labels | None:
        """The labels of a subset of the host, as the DestinationRules define it that the namespace sees."""
        self.spend(1)
        return self._hosts.subset_labels(host, subset, namespace)

    def home_of_service(self, host: str, namespace: str) -> str:
        """The namespace of the Service that a host would be to an object of a namespace; empty where it is
        not the name of a Service."""
        named = self._hosts.service_name(host, namespace)
        return named[0] if named else ""
