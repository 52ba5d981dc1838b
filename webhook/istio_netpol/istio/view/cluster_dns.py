"""Finds where cluster DNS answers, as a pod's connection to it is seen on the wire.

Which of these targets a pod asks depends on how the cluster is set up, and not all of that is in its objects.
So all of them are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.istio.view.backends import Backends
from istio_netpol.istio.view.stand_ins import StandIns
from istio_netpol.model.addresses import AddressSet, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.environments import NODE_LOCAL_ADDRESS, NODE_LOCAL_DNS_LABELS
from istio_netpol.state.reader import Reader, question

NODE_LOCAL_DNS = Selector.of(NODE_LOCAL_DNS_LABELS)
DNS_SERVICES = (
    "kube-dns",
    "coredns",
    "rke2-coredns-rke2-coredns",
)
"""Names that distributions give the Service of cluster DNS, the usual one first."""

OPENSHIFT_DNS = ("openshift-dns", "dns-default")
"""OpenShift has cluster DNS in a namespace of its own, with pods that listen on 5353 (`dns-operator`)."""

_PORT = 53
_PORT_NAMES = ((Protocol.UDP, "dns"), (Protocol.TCP, "dns-tcp"))
"""What the ports of DNS are called in the manifests of CoreDNS and node-local-dns."""

_PROTOCOLS = (Protocol.UDP, Protocol.TCP)


class DnsTarget(Struct, frozen=True):
    """One place where DNS answers. `service` is the Service whose address pods dial to get there, `why` a
    clause on what answers, empty for the pods of cluster DNS."""

    peer: Peer
    protocol: Protocol
    port: int
    service: Service | None = None
    why: str = ""


class ClusterDns:
    """Finds the peers that pods ask for names, by one reader."""

    def __init__(self, reader: Reader, settings: Settings, backends: Backends, stand_ins: StandIns) -> None:
        self.reader = reader
        self._settings = settings.dns
        self._backends = backends
        self._stand_ins = stand_ins
        reader.take(self)

    @question
    def targets(self) -> tuple[DnsTarget, ...]:
        """The peers that answer DNS, over UDP and TCP, each once."""
        found: dict[tuple[str, Protocol, int], DnsTarget] = {}
        for target in self._targets():
            found.setdefault((str(target.peer), target.protocol, target.port), target)
        return tuple(found.values())

    def _targets(self) -> Iterator[DnsTarget]:
        service = self._service()
        pods = self._pods(service)
        if not pods and self._settings.pods:
            pods = _on(self._stand_ins.dns().workload, self._settings.port, service)
        yield from pods
        yield from self._node_local_pods(service)
        yield from _at(self._node_local_addresses(service), "node-local-dns answers there")
        yield from _at(self._settings.addresses, "setting dns.addresses names it")

    def _service(self) -> Service | None:
        """The Service of cluster DNS: the first of the usual ones that has pods behind it, or otherwise the
        first."""
        places = (*((self._settings.namespace, name) for name in DNS_SERVICES), OPENSHIFT_DNS)
        found = [service for place in places if (service := self.reader.find(Service, *place))]
        answering = (service for service in found if self._backends.of_service(service, _PORT))
        return next(answering, found[0] if found else None)

    def _pods(self, service: Service | None) -> tuple[DnsTarget, ...]:
        """The pods behind the Service on their own port, or otherwise those with the labels of the
        settings."""
        backends = self._backends.of_service(service, _PORT) if service else ()
        found = tuple(
            DnsTarget(backend.peer, backend.protocol, backend.port, service)
            for backend in backends
            if backend.protocol is not Protocol.SCTP
        )
        labelled = self.reader.pods(self._settings.namespace, Selector.of(self._settings.labels))
        return found or tuple(target for pod in labelled for target in _on(pod, self._settings.port, service))

    def _node_local_pods(self, service: Service | None) -> Iterator[DnsTarget]:
        """node-local-dns outside of the host's network: Cilium redirects there what pods send to the Service,
        so that policies see these pods (docs.cilium.io, "Local Redirect Policy")."""
        for pods in self.reader.pods(self._settings.namespace, NODE_LOCAL_DNS):
            for protocol, name in () if pods.host_network else _PORT_NAMES:
                port = next(iter(pods.named_port(name, protocol)), _PORT)
                why = "node-local-dns answers what pods send to cluster DNS"
                yield DnsTarget(PodsPeer(pods), protocol, port, service, why)

    def _node_local_addresses(self, service: Service | None) -> tuple[str, ...]:
        """Where node-local-dns answers in the host's network: as the settings and its argument say, or
        otherwise at the usual address and at the Service's.

        With kube-proxy in iptables mode it binds the ClusterIP of cluster DNS as well, and pods go on asking
        that: such packets stay on the node, untranslated, so policies see the ClusterIP.
        """
        bound = [
            str(address)
            for pods in self.reader.pods(self._settings.namespace)
            for address in pods.node_local_addresses
        ]
        if self._settings.node_local_address:
            bound.insert(0, self._settings.node_local_address)
        caches = self.reader.pods(self._settings.namespace, NODE_LOCAL_DNS)
        if not bound and any(pods.host_network for pods in caches):
            own = [ip for ip in service.cluster_ips if parse_address(ip)] if service else []
            bound = [NODE_LOCAL_ADDRESS, *own]
        return tuple(dict.fromkeys(bound))


def _on(pods: Workload, port: int, service: Service | None) -> tuple[DnsTarget, ...]:
    return tuple(DnsTarget(PodsPeer(pods), protocol, port, service) for protocol in _PROTOCOLS)


def _at(addresses: Iterable[str], why: str) -> Iterator[DnsTarget]:
    for address in addresses:
        for protocol in _PROTOCOLS:
            yield DnsTarget(AddressPeer(AddressSet.of(address)), protocol, _PORT, why=why)
