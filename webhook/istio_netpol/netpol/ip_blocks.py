"""Says whom an ipBlock can match with the network plugin of the cluster, and at which addresses no pod is."""

from __future__ import annotations

from istio_netpol.model.addresses import ALL_IPV4, ALL_IPV6, NO_ADDRESSES, AddressSet
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


PODLESS = AddressSet.of(
    "0.0.0.0/8",  # this network
    "127.0.0.0/8",  # loopback: a connection to it does not leave the pod
    "168.63.129.16/32",  # Azure's own server, the same on every machine
    "169.254.0.0/16",  # link-local: most clouds' metadata, node-local DNS
    "192.0.0.0/24",  # protocol assignments, not usable otherwise
    "224.0.0.0/4",  # multicast
    "255.255.255.255/32",  # broadcast
    "::/127",  # unspecified, loopback
    "::ffff:0:0/96",  # IPv4 in another spelling, never on a packet
    "fd00:ec2::254/128",  # AWS: metadata by IPv6
    "fe80::/10",  # link-local
    "ff00::/8",  # multicast
)
"""Addresses that no pod can have: an ipBlock that leaves only these out leaves out no pod.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries; learn.microsoft.com, "What is IP address
168.63.129.16". Whole private ranges are not here, nor 240.0.0.0/4: clusters give pods addresses from both.
"""

POSSIBLE_ADDRESSES = (ALL_IPV4 - PODLESS, ALL_IPV6 - PODLESS)
"""Where pods may be, by family, IPv4 first."""
