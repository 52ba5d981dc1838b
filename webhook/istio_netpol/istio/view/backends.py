"""Finds what answers behind a Service or ServiceEntry: peers and ports as they are on the wire."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.istio.view.service_registry import Hosts, OwnAddresses
from istio_netpol.model.addresses import Address, AddressSet, parse_address, parse_networks
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, PodsPeer
from istio_netpol.model.istio_networking import (
    ServiceEntry,
    ServiceEntryPort,
    WorkloadEndpoint,
    WorkloadEntry,
)
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.services import EndpointAddress, EndpointSlice, Service, ServicePort
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reader import Reader, question
from istio_netpol.state.reads import Index

_APPLICATION_PROTOCOLS = {"UDP": Protocol.UDP, "SCTP": Protocol.SCTP}
"""The protocols of a ServiceEntry's ports that are not carried over TCP."""

_LONGEST_CHAIN = 4
"""ExternalNames that are followed from one name to the next; a ring of them ends here."""


class Backend(Struct, frozen=True):
    """One peer behind a name, and the port on the wire: the pod's, after the Service translated it.
    `choosers` are the namespaces of Services that the name leads through, `service` the one whose address it
    is."""

    peer: Peer
    protocol: Protocol
    port: int
    choosers: tuple[str, ...] = ()
    service: Service | None = None


class Backends:
    """Finds what is behind names, by one reader."""

    def __init__(self, reader: Reader, hosts: Hosts, own: OwnAddresses) -> None:
        self.reader = reader
        self._hosts = hosts
        self._own = own
        reader.take(self)

    def pods(self, service: Service, subset: Labels | None = None) -> tuple[Workload, ...]:
        """The workloads that a Service selects, narrowed to a subset."""
        if not service.selector:
            return ()
        return self.reader.pods(service.namespace, Selector.of({**service.selector, **(subset or {})}))

    def services_of(self, workload: Workload) -> tuple[Service, ...]:
        """The Services that select the workload's pods, sorted by name."""
        indexed, own = self._selecting(workload.namespace), workload.labels.items()
        found = (service for pair in own for service in indexed.get(pair, ()))
        return tuple(
            sorted(
                (service for service in found if service.selector and service.selector.items() <= own),
                key=lambda service: service.name,
            )
        )

    @question
    def _selecting(self, namespace: str) -> dict[tuple[str, str], list[Service]]:
        """A namespace's Services with a selector by one pair of it."""
        found: dict[tuple[str, str], list[Service]] = {}
        for service in self.reader.all(Service, namespace):
            if service.selector:
                found.setdefault(next(iter(service.selector.items())), []).append(service)
        return found

    def of_service(
        self, service: Service, port: int | None, subset: Labels | None = None, depth: int = 0
    ) -> tuple[Backend, ...]:
        """What answers on a Service's port, or on all; pods that lack a named target port are left out."""
        if service.external_name:
            return tuple(self._of_name(service.external_name, service, port, depth))
        ports = [declared for declared in service.ports if port in (None, declared.port)]
        if not service.selector:
            return tuple(
                dict.fromkeys(backend for declared in ports for backend in self._listed(service, declared))
            )
        pods = self.pods(service, subset)
        found = {
            (pod, declared.protocol, number): Backend(PodsPeer(pod), declared.protocol, number)
            for pod in pods
            for declared in ports
            if (number := target_on(pod, declared))
        }
        return tuple(found.values())

    def undeclared(
        self, service: Service, ports: tuple[int, ...], subset: Labels | None
    ) -> tuple[tuple[Workload, str], ...]:
        """The selected pods that lack a port of a name that the Service's `ports` target, and that name."""
        named = [
            declared
            for declared in service.ports
            if declared.port in ports and isinstance(declared.target, str)
        ]
        if not named or service.external_name:
            return ()
        return tuple(
            (pod, str(port.target))
            for pod in self.pods(service, subset)
            for port in named
            if target_on(pod, port) is None
        )

    def of_entry(self, entry: ServiceEntry, port: int) -> Iterator[Backend]:
        """What answers for a ServiceEntry on one of its ports; nothing for wildcard hosts. They come one by
        one, since a caller may not want all."""
        for declared in self._ports(entry).get(port, ()):
            yield from self._of_entry_port(entry, declared)

    @question
    def _ports(self, entry: ServiceEntry) -> dict[int, list[ServiceEntryPort]]:
        """The ports of an entry by their number."""
        found: dict[int, list[ServiceEntryPort]] = {}
        for declared in entry.ports:
            found.setdefault(declared.number, []).append(declared)
        return found

    def of_host(self, host: str, namespace: str, port: int) -> tuple[Backend, ...]:
        """What answers over TCP at an address or host; nothing for a Service that the input does not hold."""
        if self._hosts.in_cluster(host) and self._hosts.service(host, namespace) is None:
            return ()
        return tuple(self.of_address(host, namespace, port, Protocol.TCP))

    def of_address(
        self, address: str, namespace: str, port: int, protocol: Protocol, depth: int = 0
    ) -> Iterator[Backend]:
        """What answers at an IP address or host name: pods where it is the cluster's own, or the name of a
        Service."""
        literal = parse_address(address)
        if literal is not None:
            behind = self.behind(literal, namespace, port, protocol)
            yield from behind or (Backend(AddressPeer(AddressSet.of(literal)), protocol, port),)
            return
        service = self._hosts.service(address, namespace) if "." in address else None
        if service is not None and depth < _LONGEST_CHAIN:
            for backend in self.of_service(service, port, depth=depth + 1):
                yield replace(backend, choosers=(service.namespace, *backend.choosers))
        elif service is None and "*" not in address and not address.startswith("unix:"):
            yield Backend(HostPeer(address.rstrip(".").lower()), protocol, port)

    def behind(self, address: Address, namespace: str, port: int, protocol: Protocol) -> tuple[Backend, ...]:
        """What answers in place of an address that is the cluster's own; nothing for any other."""
        found = self._own.service_at(address, port, protocol, namespace)
        if found is None:
            return tuple(
                Backend(PodsPeer(pod), protocol, port) for pod in self._own.pods_at(address, namespace)
            )
        service = found.service
        return tuple(
            replace(backend, choosers=(service.namespace, *backend.choosers), service=service)
            for backend in (self.of_service(service, found.port) if found.port else ())
            if backend.protocol is protocol
        )

    def _of_name(self, name: str, service: Service, port: int | None, depth: int) -> Iterator[Backend]:
        """An ExternalName: DNS answers with another name, and the port stays what the client asked for."""
        known = {declared.port: declared.protocol for declared in service.ports}
        for number in known if port is None else (port,):
            yield from self.of_address(
                name, service.namespace, number, known.get(number, Protocol.TCP), depth
            )

    def _listed(self, service: Service, port: ServicePort) -> Iterator[Backend]:
        """Endpoints that someone else keeps for a Service without a selector; ports correspond by name."""
        for slice_ in self._slices(service):
            numbers = [
                slice_port.port
                for slice_port in slice_.ports
                if slice_port.port and slice_port.name == port.name and slice_port.protocol is port.protocol
            ]
            for number in numbers:
                for endpoint in slice_.endpoints:
                    for peer in self._peers(endpoint, service.namespace):
                        yield Backend(peer, port.protocol, number)

    def _slices(self, service: Service) -> Sequence[EndpointSlice]:
        return tuple(self.reader.by_key(ENDPOINT_SLICES, (service.namespace, service.name)))

    def _peers(self, endpoint: EndpointAddress, namespace: str) -> Iterator[Peer]:
        """The peers at an endpoint of a Service: the pods at its addresses, wherever they run; if no pod is
        known to be there, the pod that it names; otherwise the addresses."""
        left = []
        for address in endpoint.addresses:
            at = self._own.pods_at(address, namespace)
            yield from (PodsPeer(pod) for pod in at)
            left += [] if at else [address]
        is_found = bool(endpoint.addresses) and not left
        named = self._named_pod(endpoint, namespace) if endpoint.pod and not is_found else None
        if named is not None:
            yield PodsPeer(named)
        elif left:
            yield AddressPeer(AddressSet.of(*left))

    def _named_pod(self, endpoint: EndpointAddress, namespace: str) -> Workload | None:
        """The pod that an endpoint names, unless it is known to be at other addresses. A pod of the host's
        network is at its node's, as are others."""
        may_be = self.reader.pods_named(endpoint.pod_namespace or namespace, "Pod", endpoint.pod)
        return next((pod for pod in may_be if pod.host_network or not pod.addresses), None)

    def _of_entry_port(self, entry: ServiceEntry, port: ServiceEntryPort) -> Iterator[Backend]:
        protocol = _APPLICATION_PROTOCOLS.get(port.protocol.upper(), Protocol.TCP)
        target = port.target_port or port.number
        if entry.workload_selector is not None:
            for pod in self.reader.pods(entry.ref.namespace, Selector.of(entry.workload_selector)):
                yield Backend(PodsPeer(pod), protocol, target)
        places = dict.fromkeys(
            (endpoint.address, endpoint.ports.get(port.name) or target) for endpoint in self._endpoints(entry)
        )
        yield from self._of_places(places, entry.ref.namespace, protocol)
        if entry.workload_selector is None and not entry.endpoints:
            yield from self._without_endpoints(entry, port.number, target, protocol)

    def _of_places(
        self, places: Collection[tuple[str, int]], namespace: str, protocol: Protocol
    ) -> Iterator[Backend]:
        """What answers at addresses and host names, on the port of each."""
        literals = {text: parse_address(text) for text, _ in places}
        own = self._own.among(literal for literal in literals.values() if literal)
        for text, number in places:
            literal = literals[text]
            if literal is None or literal in own:
                yield from self.of_address(text, namespace, number, protocol)
            else:
                yield Backend(AddressPeer(AddressSet.of(literal)), protocol, number)

    def _endpoints(self, entry: ServiceEntry) -> Iterator[WorkloadEndpoint]:
        yield from entry.endpoints
        if entry.workload_selector is not None:
            wanted = entry.workload_selector.items()
            for workload_entry in self.reader.all(WorkloadEntry, entry.ref.namespace):
                if wanted <= workload_entry.endpoint.labels.items():
                    yield workload_entry.endpoint

    def _without_endpoints(
        self, entry: ServiceEntry, number: int, target: int, protocol: Protocol
    ) -> Iterator[Backend]:
        """Resolution NONE keeps the address that the client asked for; the DNS ones look the hosts up."""
        if entry.resolution == "NONE" and entry.addresses:
            yield from self._of_networks(entry, number, protocol)
            return
        for host in entry.hosts:
            yield from self.of_address(host, entry.ref.namespace, target, protocol)

    def _of_networks(self, entry: ServiceEntry, number: int, protocol: Protocol) -> Iterator[Backend]:
        """What answers at the addresses and ranges of an entry: pods at those that are the cluster's own."""
        own, addresses = self._parts(entry)
        left: list[str] = []
        for text, literal in own:
            behind = self.behind(literal, entry.ref.namespace, number, protocol)
            yield from behind
            left += [] if behind else [text]
        addresses |= parse_networks(left)[0]
        if addresses:
            yield Backend(AddressPeer(addresses), protocol, number)

    @question
    def _parts(self, entry: ServiceEntry) -> tuple[tuple[tuple[str, Address], ...], AddressSet]:
        """The addresses of an entry at which the cluster itself may answer, and all others."""
        literals = {
            text: literal
            for text in entry.addresses
            if (literal := parse_address(text.removesuffix("/32").removesuffix("/128")))
        }
        own = self._own.among(literals.values())
        found = {text: literal for text, literal in literals.items() if own and literal in own}
        return tuple(found.items()), parse_networks(text for text in entry.addresses if text not in found)[0]


def target_on(pod: Workload, port: ServicePort) -> int | None:
    """The number of a Service port's target on these pods; None where they declare no port of that name.

    As the EndpointSlice controller does, the first container port of the name counts.
    """
    if isinstance(port.target, int):
        return port.target
    return next(iter(pod.named_port(port.target, port.protocol)), None)


def _service_of(endpoints: EndpointSlice) -> tuple[tuple[str, str]]:
    return ((endpoints.ref.namespace, endpoints.service),)


ENDPOINT_SLICES = Index("endpoint-slices", EndpointSlice, _service_of)
