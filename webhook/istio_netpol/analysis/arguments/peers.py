"""Reads the peers that a person types: `ns/workload`, `ns/Kind/workload`, `ns/pod`, `ns/service`, an address.

A list is filtered by peers that are written so, and by whole namespaces and ranges of addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial

from msgspec import Struct

from istio_netpol.errors import InputError, Problem, all_told
from istio_netpol.manifests.decode_selectors import SUBDOMAIN
from istio_netpol.model.addresses import NO_ADDRESSES, AddressSet, is_network, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

SHAPES = (
    "a peer is namespace/workload, namespace/Kind/workload, namespace/pod or an IP address; "
    "what is called can also be namespace/service or a host such as api.example.com"
)


def host_of(text: str) -> str:
    """The host that the text spells, in lower case; empty where it is something else."""
    host = text.lower().rstrip(".")
    is_name = "." in host and SUBDOMAIN.fullmatch(host) and not host.rpartition(".")[2].isdecimal()
    return host if is_name else ""


def in_namespace(text: str, namespace: str) -> str:
    """The text, in which `-n` turns a bare name into one of its namespace. Any other text stays as it is,
    and so does every text without `-n`."""
    is_name = bool(text) and "/" not in text and parse_address(text) is None and not host_of(text)
    return f"{namespace}/{text}" if namespace and is_name else text


def find_service(text: str, port: int | str, protocol: Protocol, snapshot: Snapshot) -> Service | None:
    """The Service that the text names, as namespace/Service/name or as namespace/name.

    Workload and Service often share a name. Then the Service is meant where it has the port and the
    workload does not say that it has it too.
    """
    namespace, _, name = text.partition("/")
    kind, _, named = name.rpartition("/")
    service = snapshot.find(Service, namespace, named) if kind.lower() in ("", "service") else None
    if service is None or kind:
        return service
    workloads = _among(snapshot.workloads(namespace), "", name)
    if not workloads:
        return service
    offers = any(
        port in (service_port.port, service_port.name) and service_port.protocol is protocol
        for service_port in service.ports
    )
    declared = any(
        port in (pod_port.number, pod_port.name) and pod_port.protocol is protocol
        for workload in workloads
        for pod_port in workload.ports
    )
    return service if offers and not declared else None


def find_peer(text: str, snapshot: Snapshot, assumed: Callable[[], Iterable[Workload]]) -> Peer:
    """The peer that the text names, one of those that are `assumed` where the input has none. Raises
    InputError where there is none, or more than one."""
    address = parse_address(text)
    if address is not None:
        pods = next(
            (workload for workload in snapshot.every_workload() if address in workload.addresses), None
        )
        return AddressPeer(AddressSet.of(address)) if pods is None else PodsPeer(pods)
    parts = text.split("/")
    if _is_range(text):
        raise _error(text, "is a range of addresses", "name one address of it")
    if len(parts) not in (2, 3) or not all(parts):
        raise _error(text, "is not a peer", SHAPES)
    namespace, kind, name = parts[0], parts[1] if len(parts) == 3 else "", parts[-1]
    found = (
        _among(snapshot.workloads(namespace), kind, name)
        or _by_pod(namespace, kind, name, snapshot)
        or _among((stand_in for stand_in in assumed() if stand_in.namespace == namespace), kind, name)
    )
    if not found:
        raise _error(text, "names no workload of the input", _suggestion(namespace, name, snapshot))
    if len(found) > 1:
        names = " or ".join(workload.peer_name for workload in found)
        raise _error(text, f"names {len(found)} workloads", f"say {names}")
    return PodsPeer(found[0])


def _is_range(text: str) -> bool:
    """Whether the text is a CIDR, which would otherwise read as namespace/workload."""
    address, slash, length = text.partition("/")
    return bool(slash) and length.isdecimal() and parse_address(address) is not None


def _among(workloads: Iterable[Workload], kind: str, name: str) -> list[Workload]:
    return [
        workload
        for workload in workloads
        if workload.name == name and (not kind or workload.ref.kind.lower() == kind.lower())
    ]


def _by_pod(namespace: str, kind: str, name: str, snapshot: Snapshot) -> list[Workload]:
    """The class of the pod that was read under this name."""
    pod = snapshot.find(Workload, namespace, name, "Pod")
    if pod is None or kind not in ("", "Pod", "pod"):
        return []
    classes = snapshot.workloads(namespace)
    return [
        pod_class
        for pod_class in classes
        if pod_class.labels.items() <= pod.labels.items() and set(pod.addresses) <= set(pod_class.addresses)
    ][:1]


def _suggestion(namespace: str, name: str, snapshot: Snapshot) -> str:
    known = [workload.peer_name for workload in snapshot.workloads(namespace)]
    if not known:
        namespaces = ", ".join(
            known_namespace
            for known_namespace in snapshot.namespace_names
            if snapshot.workloads(known_namespace)
        )
        return f"namespace {namespace} has no workloads; namespaces that have some: {namespaces or 'none'}"
    by_name = {text.rpartition("/")[2]: text for text in known}
    close = [by_name[match] for match in get_close_matches(name, by_name, n=3, cutoff=0.4)]
    return (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"namespace {namespace} has {', '.join(known[:10])}"
    )


def _error(text: str, cause: str, remedy: str) -> InputError:
    return InputError([Problem.of("arguments", f"{text!r} {cause}", remedy)])


class PeerFilter(Struct, frozen=True):
    """Peers by what a list calls them. Without any, every peer is asked for."""

    names: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    addresses: AddressSet = NO_ADDRESSES
    everything: bool = False

    def has(self, peer: str) -> bool:
        """Whether a peer is asked for; of a range of addresses, whether any of it is."""
        if self.everything or peer in self.names:
            return True
        namespace, slash, _ = peer.partition("/")
        if slash:
            return namespace in self.namespaces
        return bool(self.addresses) and bool(addresses_of(peer) & self.addresses)


EVERY_PEER = PeerFilter(everything=True)


def addresses_of(peer: str) -> AddressSet:
    """The addresses of a range as a list writes it, `0.0.0.0-9.255.255.255`."""
    low, _, high = peer.partition("-")
    first, last = parse_address(low), parse_address(high)
    if first is None or last is None:
        return NO_ADDRESSES
    return AddressSet.from_range(first.version, int(first), int(last))


def peer_filter(texts: Iterable[str], snapshot: Snapshot) -> PeerFilter:
    """The peers that texts name. Raises InputError where one names nothing of the input."""
    found = all_told(*(partial(_one, text, snapshot) for text in texts))
    if not found:
        return EVERY_PEER
    return PeerFilter(
        frozenset(name for filter_ in found for name in filter_.names),
        frozenset(name for filter_ in found for name in filter_.namespaces),
        AddressSet.union(filter_.addresses for filter_ in found),
    )


def _one(text: str, snapshot: Snapshot) -> PeerFilter:
    if is_network(text):
        return _at_addresses(text, snapshot)
    namespace, slash, name = text.partition("/")
    if not slash or name == "*":
        if not snapshot.has(namespace):
            raise _no_such_namespace(text, namespace, snapshot)
        return PeerFilter(namespaces=frozenset({namespace}))
    try:
        peer = find_peer(text, snapshot, tuple)
    except InputError:
        behind = _behind_service(namespace, name, snapshot)
        if not behind:
            raise
        return PeerFilter(behind)
    return PeerFilter(frozenset({peer.key}))


def _at_addresses(text: str, snapshot: Snapshot) -> PeerFilter:
    """Addresses outside the cluster, and the pods that have one of them."""
    addresses = AddressSet.of(text)
    pods = frozenset(
        workload.peer_name
        for workload in snapshot.every_workload()
        if any(map(addresses.contains, workload.addresses))
    )
    return PeerFilter(pods, addresses=addresses)


def _behind_service(namespace: str, name: str, snapshot: Snapshot) -> frozenset[str]:
    service = snapshot.find(Service, namespace, name.rpartition("/")[2])
    if service is None or not service.selector:
        return frozenset()
    pods = snapshot.select(namespace, Selector.of(service.selector))
    return frozenset(workload.peer_name for workload in pods)


def _no_such_namespace(text: str, namespace: str, snapshot: Snapshot) -> InputError:
    close = get_close_matches(namespace, snapshot.namespace_names, n=3)
    shapes = "write namespace/workload, namespace/* or namespace, an address or a CIDR"
    remedy = f"did you mean {' or '.join(close)}?" if close else shapes
    return InputError([Problem.of("arguments", f"{text!r} is not a namespace of the input", remedy)])
