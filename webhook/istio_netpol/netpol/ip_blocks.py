"""Says whom an ipBlock can match with the network plugin of the cluster."""

from __future__ import annotations

from istio_netpol.model.addresses import NO_ADDRESSES, AddressSet
from istio_netpol.model.flows import API_SERVER, AddressPeer, AnyPeer, Peer, PodsPeer
from istio_netpol.state.snapshot import Snapshot


def matchable(named: AddressSet, peer: Peer, snapshot: Snapshot) -> AddressSet:
    """Of the addresses that ipBlocks name, those at which they can match a peer."""
    if not snapshot.network.tells_addresses_apart:
        return named
    if not may_match(peer, snapshot):
        return NO_ADDRESSES
    return named if isinstance(peer, PodsPeer) else named - snapshot.beyond_ip_blocks


def may_match(peer: Peer, snapshot: Snapshot) -> bool:
    """Whether an ipBlock can match a peer at all. Of addresses it matches some and others not, and of the
    peers that nobody can name, the API server is known to be on nodes where the settings say so."""
    network = snapshot.network
    if isinstance(peer, PodsPeer):
        return (
            network.model.ip_blocks_match_nodes
            if peer.workload.host_network
            else network.model.ip_blocks_match_pods
        )
    if isinstance(peer, AnyPeer):
        if peer.in_cluster:
            return network.model.ip_blocks_match_pods
        return network.model.ip_blocks_match_nodes or not (network.api_server_on_nodes and peer == API_SERVER)
    return True


def is_beyond(peer: Peer, snapshot: Snapshot) -> bool:
    """Whether no ipBlock matches a peer, or not all of its addresses."""
    if not may_match(peer, snapshot):
        return True
    return isinstance(peer, AddressPeer) and matchable(peer.addresses, peer, snapshot) != peer.addresses


def is_unnameable(peer: Peer, snapshot: Snapshot) -> bool:
    """Whether nothing in a policy names a peer: no ipBlock matches it, and no pod selector, since it is not a
    pod with an address of its own."""
    is_pod = isinstance(peer, PodsPeer) and not peer.workload.host_network
    return not is_pod and is_beyond(peer, snapshot)
