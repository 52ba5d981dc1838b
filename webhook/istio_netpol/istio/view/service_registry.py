"""The service registry as clients see it: the Services and ServiceEntries that a host name means as Istio's
objects write it, and what is at an address that is the cluster's own: a ClusterIP, an external or a load
balancer's address of a Service, a node port or a pod.

The client's node translates a Service's addresses before a policy sees the packet (kube-proxy; for a load
balancer unless its `ipMode` is Proxy, KEP-1860). So policies see the pods behind, on their own ports, and an
ipBlock of the address itself never matches. A node port counts as translated there, too: plugins that
translate at the socket do so for every node, kube-proxy for the client's own.

ClusterIPs are the API server's to give, and a load balancer's address is its controller's. Anybody may claim
`externalIPs`, so they are heeded where administrators write, and for whoever wrote them; so is the status of
a pod that says it is at a public address.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple

from istio_netpol.model.addresses import Address, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.istio_networking import DestinationRule, ServiceEntry
from istio_netpol.model.labels import Labels
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import NodeAddresses, Workload
from istio_netpol.state.reader import Reader, question
from istio_netpol.state.reads import Index
from istio_netpol.trust.special_addresses import SPECIAL


class Hosts:
    """Resolves host names by one reader."""

    def __init__(
        self,
        reader: Reader,
        cluster_domain: str,
        root_namespace: str,
        trusted: Callable[[], frozenset[str]],
    ) -> None:
        self.reader = reader
        self._suffix = f".svc.{cluster_domain}"
        self._root_namespace = root_namespace
        self._trusted = trusted
        reader.take(self)

    def service_name(self, host: str, namespace: str) -> tuple[str, str] | None:
        """(namespace, name) of the Service that a host would be: `name`, `name.ns`, `name.ns.svc`, or in
        full.

        Routes of a VirtualService know the first and the last form only; the others resolve by the search
        path of DNS.
        """
        host = host.rstrip(".").lower()
        bare = host.removesuffix(self._suffix)
        if bare == host:
            bare = host.removesuffix(".svc")
        name, _, home = bare.partition(".")
        if not name or "*" in name or "." in home or (not home and bare != host):
            return None
        return (home or namespace, name)

    def full_name(self, host: str, namespace: str) -> str:
        """The host as istiod's registry knows it: a name without a dot is a Service of the namespace."""
        host = host.rstrip(".").lower()
        return host if "." in host or host == "*" else f"{host}.{namespace}{self._suffix}"

    def in_cluster(self, host: str) -> bool:
        """Whether a host spells out that it is a Service of this cluster."""
        host = host.rstrip(".").lower()
        return host.endswith((self._suffix, ".svc"))

    def service(self, host: str, namespace: str) -> Service | None:
        named = self.service_name(host, namespace)
        return self.reader.find(Service, *named) if named else None

    def entry(self, host: str, namespace: str, authors: tuple[str, ...] = ()) -> ServiceEntry | None:
        """The ServiceEntry of a host that the namespace sees and that is heeded: its own, one of the
        `authors`' or of administrators."""
        return self._entry(self.full_name(host, namespace), namespace, authors)

    def followed_entry(self, host: str, namespace: str) -> ServiceEntry | None:
        """The ServiceEntry of a host that proxies of the namespace follow, whoever wrote it."""
        return self._followed(self.full_name(host, namespace), namespace)

    @question
    def _entry(self, host: str, namespace: str, authors: tuple[str, ...]) -> ServiceEntry | None:
        heeded = {namespace, *authors} | self._trusted()
        return self._nearest(host, namespace, lambda entry: entry.ref.namespace in heeded)

    @question
    def _followed(self, host: str, namespace: str) -> ServiceEntry | None:
        return self._nearest(host, namespace, lambda entry: True)

    def _nearest(
        self, host: str, namespace: str, counts: Callable[[ServiceEntry], bool]
    ) -> ServiceEntry | None:
        """The ServiceEntry that goes first among those that count and are exported to the namespace: its own
        before others, exact hosts before wildcards."""
        for pattern in _patterns(host):
            found: list[ServiceEntry] = [
                entry
                for entry in self.reader.by_key(SERVICE_ENTRY_HOSTS, pattern)
                if counts(entry) and is_exported(entry.export_to, entry.ref.namespace, namespace)
            ]
            if found:
                return min(
                    found,
                    key=lambda entry: (entry.ref.namespace != namespace, entry.ref.namespace, entry.ref.name),
                )
        return None

    @question
    def subset_labels(self, host: str, subset: str, namespace: str) -> Labels | None:
        """The labels of a subset, by DestinationRules of the client's, the Service's, then the root
        namespace."""
        full = self.full_name(host, namespace)
        service = self.service_name(host, namespace)
        homes = (namespace, service[0] if service else namespace, self._root_namespace)
        for home in dict.fromkeys(homes):
            for pattern in _patterns(full):
                for rule in self._rules(home).get(pattern, ()):
                    if subset in rule.subsets:
                        return rule.subsets[subset]
        return None

    @question
    def _rules(self, namespace: str) -> dict[str, list[DestinationRule]]:
        """A namespace's DestinationRules by their host in full."""
        found: dict[str, list[DestinationRule]] = {}
        for rule in self.reader.all(DestinationRule, namespace):
            found.setdefault(self.full_name(rule.host, namespace), []).append(rule)
        return found


def is_exported(export_to: tuple[str, ...], home: str, namespace: str) -> bool:
    """Whether an object of namespace `home` is seen from a namespace: everywhere without `exportTo`."""
    return not export_to or any(
        scope in ("*", namespace) or (scope == "." and home == namespace) for scope in export_to
    )


def overlap(one: str, other: str) -> bool:
    """Whether two host patterns have a host in common: `*`, `*.example.com` or a name in full.

    Source: `Matches` in `pkg/config/host/name.go`, Istio 1.28; the Gateway API intersects hostnames alike.
    """
    one, other = one.rstrip(".").lower(), other.rstrip(".").lower()
    if one.startswith("*") and other.startswith("*"):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    if one.startswith("*"):
        return other.endswith(one[1:])
    return one.endswith(other[1:]) if other.startswith("*") else one == other


def _patterns(host: str) -> Iterator[str]:
    """The host itself, then the wildcards that cover it, the most specific first."""
    yield host
    rest = host.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield "*"


def _hosts_of(entry: ServiceEntry) -> Iterator[str]:
    return (host.rstrip(".").lower() for host in entry.hosts)


SERVICE_ENTRY_HOSTS = Index("service-entry-hosts", ServiceEntry, _hosts_of)


_FEW = 16
"""So many addresses are looked at one by one: a change finds by each of them whom it concerns."""


class ServiceAt(NamedTuple):
    """A Service that answers at an address, and the port of it that is meant; None where it lacks that
    port."""

    service: Service
    port: int | None


class OwnAddresses:
    """Finds what is at an address, by one reader."""

    def __init__(self, reader: Reader, trusted: Callable[[], frozenset[str]]) -> None:
        self._reader = reader
        self._trusted = trusted

    def service_at(self, address: Address, port: int, protocol: Protocol, asker: str) -> ServiceAt | None:
        """The Service that answers a namespace's packets to an address; one that has the port goes first."""
        found = list(self._services_at(address, port, protocol, asker))
        return next((place for place in found if place.port is not None), found[0] if found else None)

    def pods_at(self, address: Address, asker: str) -> tuple[Workload, ...]:
        """The classes of pods of which one is at an address, as far as a namespace may believe it."""
        found = self._reader.pods_at(address)
        if SPECIAL.contains(address):
            return found
        return tuple(pods for pods in found if self._is_heeded(pods.namespace, asker))

    def among(self, addresses: Iterable[Address]) -> frozenset[Hashable]:
        """Those of the addresses at which the cluster itself may answer: the others need no look at each."""
        wanted = frozenset(addresses)
        if len(wanted) <= _FEW:
            return wanted
        reader = self._reader
        held = (reader.held(SERVICE_ADDRESSES, wanted), reader.held(NODES, wanted))
        return reader.held_addresses(wanted).union(*held)

    def _services_at(
        self, address: Address, port: int, protocol: Protocol, asker: str
    ) -> Iterator[ServiceAt]:
        for service in self._reader.by_key(SERVICE_ADDRESSES, address):
            if address not in service.external_ips or self._is_heeded(service.namespace, asker):
                offered = any(
                    declared.port == port and declared.protocol is protocol for declared in service.ports
                )
                yield ServiceAt(service, port if offered else None)
        if next(self._reader.by_key(NODES, address), None) is not None:
            for service in self._reader.by_key(NODE_PORTS, (protocol, port)):
                for declared in service.ports:
                    if (declared.protocol, declared.node_port) == (protocol, port):
                        yield ServiceAt(service, declared.port)

    def _is_heeded(self, namespace: str, asker: str) -> bool:
        return namespace == asker or namespace in self._trusted()


def _addresses_of(service: Service) -> Iterator[Address]:
    for text in service.cluster_ips:
        if (address := parse_address(text)) is not None:
            yield address
    yield from service.external_ips
    yield from service.balancer_ips


def _node_ports_of(service: Service) -> Iterator[tuple[Protocol, int]]:
    return ((port.protocol, port.node_port) for port in service.ports if port.node_port)


SERVICE_ADDRESSES = Index("service-addresses", Service, lambda service: dict.fromkeys(_addresses_of(service)))
NODE_PORTS = Index("node-ports", Service, lambda service: dict.fromkeys(_node_ports_of(service)))
NODES = Index("nodes", NodeAddresses, lambda node: dict.fromkeys(node.addresses))
