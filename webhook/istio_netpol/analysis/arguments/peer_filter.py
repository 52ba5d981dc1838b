"""Which peers of a list somebody asks for: a workload, a namespace, what is behind a Service, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from msgspec import Struct

from istio_netpol.analysis.arguments.peers import find_peer
from istio_netpol.errors import InputError, Problem
from istio_netpol.model.addresses import AddressSet, is_network, parse_address
from istio_netpol.model.labels import Selector
from istio_netpol.model.services import Service
from istio_netpol.state.snapshot import Snapshot

NO_ADDRESSES = AddressSet()


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
    found = [_one(text, snapshot) for text in texts]
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
    return InputError(
        [Problem("arguments", None, None, None, None, f"{text!r} is not a namespace of the input", remedy)]
    )
