"""Where istiod, cluster DNS and the API server are, as a pod's connection to them is seen on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from istio_netpol.istio.view.backends import Backend, Backends, target_on
from istio_netpol.istio.view.injection import REVISION_LABEL
from istio_netpol.istio.view.injectors import canonical_revision
from istio_netpol.istio.view.names import Hosts
from istio_netpol.istio.view.stand_ins import StandIns
from istio_netpol.model.addresses import Address, AddressSet, parse_host_port
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, Peer, PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.mesh import MeshConfig
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.administrators import trusted_namespaces

ISTIOD = Selector.of({"app": "istiod"})
NODE_LOCAL_DNS = Selector.of({"k8s-app": "node-local-dns"})
NODE_LOCAL_ADDRESS = "169.254.20.10"
"""Where node-local-dns listens unless configured otherwise (kubernetes.io, "Using NodeLocal DNSCache")."""

DNS_SERVICES = (
    "kube-dns",
    "coredns",
    "rke2-coredns-rke2-coredns",
)
"""Names that distributions give the Service of cluster DNS, the usual one first."""

OPENSHIFT_DNS = ("openshift-dns", "dns-default")
"""OpenShift has cluster DNS in a namespace of its own, with pods that listen on 5353 (`dns-operator`)."""

PROXY_CONFIG_ANNOTATION = "proxy.istio.io/config"
_DISCOVERY_ADDRESS = re.compile(r"""["']?\bdiscoveryAddress["']?\s*:\s*["']?([^\s"',}]+)""")
_DISCOVERY_SERVICE_PORT = 15012
_ON = frozenset({"1", "t", "true", "hybrid", "envoy"})

DnsTarget = tuple[Peer, Protocol, int]


class ControlPlane:
    """What every proxy depends on, within one snapshot."""

    def __init__(
        self, snapshot: Snapshot, settings: Settings, hosts: Hosts, backends: Backends, stand_ins: StandIns
    ) -> None:
        self._snapshot = snapshot
        self._settings = settings
        self._hosts = hosts
        self._backends = backends
        self._stand_ins = stand_ins
        self._discovery: dict[tuple[str, str], tuple[Backend, ...]] = {}

    @cached_property
    def real_istiods(self) -> tuple[Workload, ...]:
        """The istiod pods where only administrators write: elsewhere anybody can label pods like this, and
        would get every proxy to connect to them."""
        return tuple(each for each in self._labelled_istiods if each.namespace in self._administered)

    @cached_property
    def _labelled_istiods(self) -> tuple[Workload, ...]:
        return self._snapshot.select_anywhere(ISTIOD)

    @property
    def settled(self) -> tuple[object, ...]:
        """What the needs of every proxy rest on: two snapshots in which this is equal differ for those only
        whom a change of theirs concerns. The Services count without an istiod too: a stand-in has their
        ports. Stand-ins themselves don't: each view makes its own, the same by the same settings."""
        dns = (each for each in self.dns_targets if not self._is_assumed(each[0]))
        return (
            self.real_istiods,
            frozenset(each.namespace for each in self._labelled_istiods),
            self._istiod_services,
            self._mesh_configs,
            tuple(dns),
            self.api_server,
        )

    def _is_assumed(self, peer: Peer) -> bool:
        return isinstance(peer, PodsPeer) and peer.workload in self._stand_ins

    @cached_property
    def _istiod_services(self) -> tuple[Service, ...]:
        places = sorted({*self._administered, *(each.namespace for each in self.real_istiods)})
        every = (each for place in places for each in self._snapshot.of_type(Service, place))
        return tuple(each for each in every if each.name.startswith("istiod"))

    @cached_property
    def scopes_gateways(self) -> bool:
        """Whether a Gateway selects pods of its own namespace only."""
        on = self._settings.mesh.scope_gateway_to_namespace
        return on or self._is_on("PILOT_SCOPE_GATEWAY_TO_NAMESPACE")

    @cached_property
    def proxies_fetch_jwks(self) -> bool:
        """Whether proxies fetch the JWKS of hosts that Istio knows."""
        return self._settings.mesh.remote_jwks or self._is_on("PILOT_JWT_ENABLE_REMOTE_JWKS")

    def _is_on(self, switch: str) -> bool:
        """Whether an istiod of the input has a feature switched on (`pilot/pkg/features`, Istio 1.28)."""
        return any(each.switches.get(switch, "").lower() in _ON for each in self.real_istiods)

    def istiods(self, revision: str) -> tuple[Workload, ...]:
        """The istiod pods of a revision.

        A name that no istiod carries is a tag, which may point to any of them.
        """
        if not self.real_istiods:
            return (self._stand_ins.istiod({each.namespace for each in self._labelled_istiods}),)
        wanted = canonical_revision(revision)
        found = tuple(each for each in self.real_istiods if revision_of(each) == wanted)
        return found or self.real_istiods

    def service_of(self, istiod: Workload) -> Service | None:
        """The Service in front of an istiod: `istiod`, or `istiod-<revision>`."""
        revision = revision_of(istiod)
        names = (f"istiod-{revision}", "istiod") if revision else ("istiod",)
        found = (self._snapshot.find(Service, istiod.namespace, name) for name in names)
        return next(
            (
                each
                for each in found
                if each and each.selector and each.selector.items() <= istiod.labels.items()
            ),
            None,
        )

    def port_of(self, istiod: Workload, service_port: int, otherwise: int) -> int:
        """The pods' port behind a port of the istiod Service; `otherwise` where no Service says."""
        service = self.service_of(istiod)
        ports = service.ports if service else ()
        return next(
            (n for each in ports if each.port == service_port and (n := target_on(istiod, each))), otherwise
        )

    def discovery_port(self, istiod: Workload) -> int:
        return self.port_of(istiod, _DISCOVERY_SERVICE_PORT, self._settings.mesh.discovery_port)

    def discovery(self, client: Workload, revision: str) -> tuple[Backend, ...]:
        """What a proxy connects to for its configuration and certificate."""
        address = self.discovery_address(client, revision)
        key = (revision, address)
        if key not in self._discovery:
            self._discovery[key] = self._named(address) or self._of_istiods(revision)
        return self._discovery[key]

    def discovery_address(self, client: Workload, revision: str) -> str:
        """The `host:port` that a proxy is told to get its configuration from; empty where that is istiod."""
        if address := annotated_address(client):
            return address
        config = self.mesh_config(revision)
        # The config of another control plane names that one's istiod.
        is_own = config is not None and config.revision == canonical_revision(revision)
        return config.discovery_address if config and is_own else ""

    def _named(self, address: str) -> tuple[Backend, ...]:
        """What a discoveryAddress, `host:port`, stands for; nothing where its Service is not in the input."""
        place = parse_host_port(address)
        if place is None:
            return ()
        host, port = place
        return self._backends.of_host(host, self._settings.mesh.root_namespace, port)

    def _of_istiods(self, revision: str) -> tuple[Backend, ...]:
        return tuple(
            Backend(PodsPeer(each), Protocol.TCP, self.discovery_port(each))
            for each in self.istiods(revision)
        )

    def mesh_config(self, revision: str) -> MeshConfig | None:
        """The mesh config of a revision, of the root namespace first; the default one where it has none."""
        wanted = canonical_revision(revision)
        ranked = sorted(
            (each for each in self._mesh_configs if each.revision in (wanted, "")),
            key=lambda each: (
                each.revision != wanted,
                each.ref.namespace != self._settings.mesh.root_namespace,
            ),
        )
        return ranked[0] if ranked else None

    @cached_property
    def _mesh_configs(self) -> tuple[MeshConfig, ...]:
        found = self._snapshot.every(MeshConfig)
        return tuple(each for each in found if each.ref.namespace in self._administered)

    @cached_property
    def _administered(self) -> frozenset[str]:
        """The namespaces in which only administrators write, as settings name them: what the mesh config adds
        to them is read here."""
        return trusted_namespaces(self._settings)

    @cached_property
    def dns_targets(self) -> tuple[DnsTarget, ...]:
        """Who answers DNS, over UDP and TCP."""
        found = {(str(peer), protocol, port): (peer, protocol, port) for peer, protocol, port in self._dns()}
        return tuple(found.values())

    def _dns(self) -> Iterator[DnsTarget]:
        yield from self._dns_pods() or self._dns_stand_in()
        for address in self._node_local_addresses():
            peer = AddressPeer(AddressSet.of(address))
            yield from ((peer, protocol, 53) for protocol in (Protocol.UDP, Protocol.TCP))

    def _node_local_addresses(self) -> tuple[Address | str, ...]:
        """Where node-local-dns answers: as its argument says, else the settings, else the usual address.

        With kube-proxy in iptables mode it binds the ClusterIP of cluster DNS as well, and pods go on asking
        that: such packets stay on the node, untranslated, so policies see the ClusterIP.
        """
        dns = self._settings.dns
        bound = dict.fromkeys(
            address for pod in self._snapshot.workloads(dns.namespace) for address in pod.node_local_addresses
        )
        if dns.node_local_address:
            return tuple(dict.fromkeys(map(str, (dns.node_local_address, *bound))))
        if bound or not self._snapshot.select(dns.namespace, NODE_LOCAL_DNS):
            return tuple(bound)
        return (NODE_LOCAL_ADDRESS,)

    def _dns_pods(self) -> tuple[DnsTarget, ...]:
        dns = self._settings.dns
        for place in (*((dns.namespace, name) for name in DNS_SERVICES), OPENSHIFT_DNS):
            service = self._snapshot.find(Service, *place)
            if service is not None:
                backends = self._backends.of_service(service, 53)
                found = tuple(
                    (each.peer, each.protocol, each.port)
                    for each in backends
                    if each.protocol is not Protocol.SCTP
                )
                if found:
                    return found
        pods = self._snapshot.select(dns.namespace, Selector.of(dns.labels))
        return tuple(target for pod in pods for target in _dns_on(pod, dns.port))

    def _dns_stand_in(self) -> tuple[DnsTarget, ...]:
        return _dns_on(self._stand_ins.dns(), self._settings.dns.port)

    @cached_property
    def api_server(self) -> tuple[Peer, int]:
        """The API server after address translation, and its port."""
        settings = self._settings.api_server
        addresses, ports = self._api_server_endpoints
        if settings.addresses:
            addresses = AddressSet.of(*settings.addresses)
        port = ports[0] if ports else settings.port
        return (AddressPeer(addresses), port) if addresses else (AnyPeer("the API server"), port)

    @cached_property
    def _api_server_endpoints(self) -> tuple[AddressSet, tuple[int, ...]]:
        slices = [
            each
            for each in self._snapshot.of_type(EndpointSlice, "default")
            # The one that the API server keeps for itself: others could be written by whoever writes there.
            if each.service == each.ref.name == "kubernetes"
        ]
        found = AddressSet.of(
            *(a for each in slices for endpoint in each.endpoints for a in endpoint.addresses)
        )
        return found, tuple(port.port for each in slices for port in each.ports)


def revision_of(istiod: Workload) -> str:
    """The revision that istiod pods serve; empty for the default one."""
    return canonical_revision(istiod.labels.get(REVISION_LABEL, ""))


def annotated_address(client: Workload) -> str:
    """The discoveryAddress that the pods' own annotation names; empty without one."""
    found = _DISCOVERY_ADDRESS.search(client.annotations.get(PROXY_CONFIG_ANNOTATION, ""))
    return found.group(1) if found else ""


def _dns_on(pod: Workload, port: int) -> tuple[DnsTarget, ...]:
    peer = PodsPeer(pod)
    return ((peer, Protocol.UDP, port), (peer, Protocol.TCP, port))
