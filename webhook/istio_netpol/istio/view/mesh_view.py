"""What flow rules ask of a snapshot: who is in the mesh, who controls it, what is behind a name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from istio_netpol.istio.view.backends import Backend, Backends
from istio_netpol.istio.view.control_plane import ControlPlane, DnsTarget
from istio_netpol.istio.view.gateways import Gateways
from istio_netpol.istio.view.injection import Injection, injection_of, is_captured
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.istio.view.names import Hosts
from istio_netpol.istio.view.stand_ins import StandIns
from istio_netpol.model.flows import Peer
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.limits import TooMuchError
from istio_netpol.model.mesh import Gateway, MeshConfig, ServiceEntry
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.indexes import Index
from istio_netpol.state.namespace import NamespaceObjects
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.administrators import trusted_namespaces

T = TypeVar("T")
Use = tuple[str, str, str]

__all__ = ["Backend", "Injection", "MeshView", "Use"]


class _Answers:
    """The parts that answer for one snapshot, and the answers worth keeping; views share them."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self.snapshot = snapshot
        self.settings = settings
        self.stand_ins = StandIns(settings)
        self.hosts = Hosts(
            snapshot,
            settings.mesh.cluster_domain,
            settings.mesh.root_namespace,
            lambda: self.trusted_namespaces,
        )
        self.backends = Backends(snapshot, self.hosts)
        self.control_plane = ControlPlane(snapshot, settings, self.hosts, self.backends, self.stand_ins)
        self.gateways = Gateways(
            snapshot,
            settings,
            self.hosts,
            self.control_plane,
            self.stand_ins,
            lambda: self.trusted_namespaces,
        )
        self.injectors = Injectors(snapshot, settings.mesh.root_namespace)
        self.injections: dict[Workload, Injection] = {}

    @cached_property
    def root_namespace(self) -> str:
        """Where mesh-wide objects live."""
        config = self.control_plane.mesh_config("")
        named = config.root_namespace if config else ""
        return named or self.settings.mesh.root_namespace

    @cached_property
    def trusted_namespaces(self) -> frozenset[str]:
        """In which namespaces only administrators write."""
        return trusted_namespaces(self.settings, self.root_namespace)


class MeshView:
    """One snapshot as flow rules see it.

    `uses` are the objects, (kind, namespace, name), that were looked up by name through this view, existing
    or not: what an outcome depends on besides its subject. Hosts that are no Service of the cluster count as
    ("Host", "", host).
    """

    def __init__(self, snapshot: Snapshot, settings: Settings, *, answers: _Answers | None = None) -> None:
        self._snapshot = snapshot
        self.settings = settings
        self.uses: set[Use] = set()
        self._left = math.inf
        self._services: dict[Workload, tuple[Service, ...]] = {}
        self._of_services: dict[
            tuple[ObjectRef, int | None, tuple[tuple[str, str], ...]], tuple[Backend, ...]
        ] = {}
        self._of_entries: dict[tuple[ObjectRef, int | None], tuple[Backend, ...]] = {}
        self._answers = answers or _Answers(snapshot, settings)

    def allow(self, lookups: float) -> None:
        """Lets so many more lookups come; the next one raises TooMuchError."""
        self._left = lookups

    def spend(self, lookups: int) -> None:
        """Counts what costs as much as so many lookups. Raises TooMuchError where too few are left."""
        self._left -= lookups
        if self._left < 0:
            limit = self.settings.limits.lookups_per_object
            raise TooMuchError(f"more than {limit:,} lookups", "limits.lookupsPerObject")

    def tracked(self) -> MeshView:
        """A view of the same snapshot that shares all answers and has `uses` of its own, empty yet."""
        return MeshView(self._snapshot, self.settings, answers=self._answers)

    @property
    def settled(self) -> tuple[object, ...]:
        """What the needs of all objects rest on and no `uses` tell: the control plane, the injectors, which
        labels make a gateway, and which make pods of one controller different."""
        answers = self._answers
        parts = (answers.control_plane, answers.injectors, answers.gateways)
        return (self._snapshot.distinguishing, *(each.settled for each in parts))

    # Objects, by what they are and where they live

    def find(self, type_: type[T], namespace: str, name: str, kind: str = "") -> T | None:
        """The object of a type by name; `kind` tells apart types that stand for several kinds."""
        self._use(kind or type_.__name__, namespace, name)
        return self._snapshot.find(type_, namespace, name, kind)

    def all(self, type_: type[T], namespace: str) -> tuple[T, ...]:
        """A namespace's objects of a type, sorted by kind and name."""
        self._use(type_.__name__, namespace, "")
        return self._snapshot.of_type(type_, namespace)

    def by_key(self, index: Index, *keys: str) -> Iterator[Any]:
        """The objects that an index has under any of these keys, sorted by namespace."""
        self._use(index.type.__name__, "", "")
        return self._snapshot.by_key(index, keys)

    def services_labelled(self, label: str) -> Iterator[Service]:
        """The Services that carry a label, or whose namespace does, sorted by namespace and name."""
        self._use("Service", "", "")

        def carrying(shard: NamespaceObjects) -> tuple[Service, ...]:
            own = label in shard.namespace.labels
            return tuple(each for each in shard.of_type(Service) if own or label in each.labels)

        found = self._snapshot.by_namespace(f"services labelled {label}", (Namespace, Service), carrying)
        for namespace in sorted(found):
            self._use("Namespace", "", namespace)
            yield from found[namespace]

    def has_namespace(self, name: str) -> bool:
        """Whether anything of a namespace was read."""
        self._use("Namespace", "", name)
        return name in self._snapshot.namespace_names

    # Workloads

    def workloads(self, namespace: str) -> tuple[Workload, ...]:
        """The classes of pods of a namespace."""
        self._use("Workload", namespace, "")
        return self._snapshot.workloads(namespace)

    def every_workload(self) -> Iterator[Workload]:
        """The classes of pods of all namespaces."""
        self._use("Workload", "", "")
        return self._snapshot.every_workload()

    def selected(self, namespace: str, selector: Selector) -> tuple[Workload, ...]:
        """The classes of pods of a namespace that a pod selector matches, hostNetwork ones included."""
        self._use("Workload", namespace, "")
        return self._snapshot.select(namespace, selector)

    def selected_anywhere(self, selector: Selector) -> tuple[Workload, ...]:
        """The classes of pods of all namespaces that a pod selector matches."""
        self._use("Workload", "", "")
        return self._snapshot.select_anywhere(selector)

    def injection(self, workload: Workload) -> Injection:
        """Whether the workload's pods get, or have, an Istio proxy."""
        self._use("Namespace", "", workload.namespace)
        found = self._answers.injections.get(workload)
        if found is None:
            namespace = self._snapshot.namespace(workload.namespace)
            found = self._answers.injections[workload] = injection_of(
                workload, namespace, self.settings.mesh, self._answers.injectors
            )
        return found

    def is_ambient(self, workload: Workload) -> bool:
        """Whether ztunnel carries the pods' traffic."""
        injected = self.injection(workload).injected
        return is_captured(
            workload, self._snapshot.namespace(workload.namespace), injected or self.is_gateway(workload)
        )

    def is_gateway(self, workload: Workload) -> bool:
        """Whether the pods run a gateway proxy: ingress, egress or east-west gateways, waypoints."""
        return self._answers.gateways.is_gateway(workload, self.injection(workload).injected)

    def in_mesh(self, workload: Workload) -> bool:
        """Whether the pods have a sidecar, are gateways, or are captured by ambient mode."""
        return self.injection(workload).injected or self.is_gateway(workload) or self.is_ambient(workload)

    def namespace_labels(self, name: str) -> Labels:
        """The labels of a namespace, the API server's own among them."""
        self._use("Namespace", "", name)
        return self._snapshot.namespace(name).labels

    # Control plane

    def istiods(self, revision: str = "") -> tuple[Workload, ...]:
        """The istiod pods of a revision (empty: the default one), or the stand-in."""
        return self._answers.control_plane.istiods(revision)

    def every_istiod(self) -> tuple[Workload, ...]:
        """The istiod pods of all revisions, or the stand-in: each acts on every object of the mesh."""
        return self._answers.control_plane.real_istiods or self.istiods()

    def discovery_port(self, istiod: Workload) -> int:
        """The istiod pods' port for xDS over mutual TLS: what is behind 15012 of their Service."""
        return self._answers.control_plane.discovery_port(istiod)

    def injection_webhook_port(self, istiod: Workload) -> int:
        """The istiod pods' port behind 443 of their Service."""
        return self._answers.control_plane.port_of(istiod, 443, self.settings.mesh.injection_webhook_port)

    def discovery(self, client: Workload) -> tuple[Backend, ...]:
        """What the workload's proxies get configuration from: istiod, or their discoveryAddress."""
        revision = self.injection(client).revision
        host, _, _ = self._answers.control_plane.discovery_address(client, revision).rpartition(":")
        if host:
            self._use_host(host, self.settings.mesh.root_namespace)
        return self._answers.control_plane.discovery(client, revision)

    def certificate_authority(self, client: Workload) -> str:
        """`host:port` of who signs the certificates of the workload's proxies; empty where istiod does."""
        config = self._answers.injectors.config(self.injection(client).revision)
        return config.ca_address if config else ""

    def dns_targets(self) -> tuple[DnsTarget, ...]:
        """Who answers DNS, on which port: pods, node-local-dns where it runs, or the stand-in."""
        return self._answers.control_plane.dns_targets

    def api_server(self) -> tuple[Peer, int]:
        """The API server as policies see it, after address translation, and its port."""
        return self._answers.control_plane.api_server

    @property
    def proxies_fetch_jwks(self) -> bool:
        """Whether proxies fetch the JWKS of hosts that Istio knows, instead of istiod."""
        return self._answers.control_plane.proxies_fetch_jwks

    def mesh_config(self, revision: str = "") -> MeshConfig | None:
        return self._answers.control_plane.mesh_config(revision)

    @property
    def root_namespace(self) -> str:
        """Where mesh-wide objects live."""
        return self._answers.root_namespace

    @property
    def trusted_namespaces(self) -> frozenset[str]:
        """In which namespaces only administrators write."""
        return self._answers.trusted_namespaces

    @property
    def control_plane_namespaces(self) -> frozenset[str]:
        """The namespaces in which istiod runs, or is assumed to, and the root namespace."""
        return frozenset(
            {self.root_namespace, *(each.namespace for each in self._answers.control_plane.real_istiods)}
        )

    def is_stand_in(self, workload: Workload) -> bool:
        """Whether a workload is assumed, not read. No policy applies to it."""
        return workload in self._answers.stand_ins

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Which stand-ins were taken so far, a sentence each."""
        return self._answers.stand_ins.assumptions

    @property
    def open_namespaces(self) -> frozenset[str]:
        """Where the stand-ins that were taken are assumed to run."""
        return self._answers.stand_ins.namespaces

    # Gateways

    def gateway_workloads(self, gateway: Gateway) -> tuple[Workload, ...]:
        """The pods that a Gateway selects, or the stand-in."""
        return self._answers.gateways.of(gateway)

    def kubernetes_gateway_workloads(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        """The pods of a Gateway API gateway or waypoint, as they will be where they do not run yet."""
        for host in gateway.hostnames:
            self._use_host(host, gateway.ref.namespace)
        return self._answers.gateways.of_kubernetes(gateway)

    def predicted_gateway_workloads(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        """The pods that istiod has yet to deploy for a gateway: no subjects themselves, so it tells their
        needs."""
        found = self.kubernetes_gateway_workloads(gateway)
        return tuple(each for each in found if self._answers.gateways.is_predicted(each))

    def assumed_ingress_gateway(self) -> Workload | None:
        """The stand-in for an ingress gateway, unless the input holds a gateway."""
        return self._answers.gateways.assumed_ingress()

    def find_kubernetes_gateway(self, namespace: str, name: str) -> KubernetesGateway | None:
        self._use("Gateway", namespace, name)
        return self._snapshot.find(KubernetesGateway, namespace, name, kind="Gateway")

    # Names

    def full_name(self, host: str, namespace: str) -> str:
        """The host as istiod knows it: a name without a dot is a Service of the namespace."""
        return self._answers.hosts.full_name(host, namespace)

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
        self._use_host(host, namespace)
        hosts = self._answers.hosts
        found: Service | ServiceEntry | None = hosts.service(host, namespace)
        if found is None:
            found = hosts.entry(host, namespace, authors)
            if found is not None:
                self._use("ServiceEntry", found.ref.namespace, found.ref.name)
        return found

    def unheeded_entry(self, host: str, namespace: str) -> ServiceEntry | None:
        """The ServiceEntry of another tenant that proxies of the namespace follow for a host, and that is not
        heeded here; None where one that is heeded goes before it."""
        self._use_host(host, namespace)
        hosts = self._answers.hosts
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
        self._use("Service", service.namespace, service.name)
        if service.external_name:
            self._use_host(service.external_name, service.namespace)
        key = (service.ref, port, tuple(sorted(subset.items())) if subset else ())
        found = self._of_services.get(key)
        if found is None:
            found = self._of_services[key] = self._answers.backends.of_service(service, port, subset)
            self.spend(len(found))
        return found

    def undeclared(
        self, service: Service, ports: tuple[int, ...], subset: Labels | None = None
    ) -> tuple[tuple[Workload, str], ...]:
        """The pods behind a Service that lack a port of a name that one of these Service ports targets."""
        self._use("Service", service.namespace, service.name)
        return self._answers.backends.undeclared(service, ports, subset)

    def service_pods(self, service: Service, subset: Labels | None = None) -> tuple[Workload, ...]:
        """The workloads that a Service selects, whatever ports they declare."""
        self._use("Service", service.namespace, service.name)
        return self._answers.backends.pods(service, subset)

    def services_of(self, workload: Workload) -> tuple[Service, ...]:
        """The Services of the workload's namespace that select its pods, sorted by name."""
        self._use("Service", workload.namespace, "")
        found = self._services.get(workload)
        if found is None:
            found = self._services[workload] = self._answers.backends.services_of(workload)
            self.uses.update(("Service", each.namespace, each.name) for each in found)
        return found

    def entry_backends(self, entry: ServiceEntry, port: int | None) -> tuple[Backend, ...]:
        """What answers for a ServiceEntry on one of its ports (None: on all of them)."""
        self._use("ServiceEntry", entry.ref.namespace, entry.ref.name)
        key = (entry.ref, port)
        found = self._of_entries.get(key)
        if found is None:
            found = self._of_entries[key] = tuple(self._counted(self._answers.backends.of_entry(entry, port)))
        return found

    def _counted(self, backends: Iterable[Backend]) -> Iterator[Backend]:
        """The backends, as many as one object may ask for: each would be a connection."""
        most = self.settings.limits.flows_per_object
        for number, backend in enumerate(backends):
            if number >= most and self._left < math.inf:
                raise TooMuchError(f"more than {most:,} connections", "limits.flowsPerObject")
            yield backend

    def address_backends(self, host: str, namespace: str, port: int) -> tuple[Backend, ...]:
        """What answers over TCP at a host or address: pods, where it names a Service of the cluster."""
        self._use_host(host, namespace)
        return self._answers.backends.of_host(host, namespace, port)

    def subset_labels(self, host: str, subset: str, namespace: str) -> Labels | None:
        """The labels of a subset of the host, as the DestinationRules define it that the namespace sees."""
        self._use_host(host, namespace)
        return self._answers.hosts.subset_labels(host, subset, namespace)

    def home_of_service(self, host: str, namespace: str) -> str:
        """The namespace of the Service that a host would be to an object of a namespace; empty where it is no
        name of a Service."""
        named = self._answers.hosts.service_name(host, namespace)
        return named[0] if named else ""

    def name_of(self, host: str, namespace: str) -> Use:
        """The name under which `uses` have a host."""
        named = self._answers.hosts.service_name(host, namespace)
        return ("Service", *named) if named else ("Host", "", host.rstrip(".").lower())

    def _use_host(self, host: str, namespace: str) -> None:
        self.spend(1)
        self.uses.add(self.name_of(host, namespace))

    def _use(self, kind: str, namespace: str, name: str) -> None:
        self.spend(1)
        self.uses.add((kind, namespace, name))
