"""Says whether a cluster has IPv6 at all."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.model.workloads import NodeAddresses
from istio_netpol.state.snapshot import Snapshot


def knows_ipv6(snapshot: Snapshot) -> bool:
    """Whether anything in the snapshot has an IPv6 address. Without one, IPv6 connections are not listed."""
    for workload in snapshot.every_workload():
        if any(address.version == 6 for address in workload.addresses + workload.node_addresses):
            return True
    for policy in snapshot.every(NetworkPolicy):
        if any(_is_ipv6(block) for block in _blocks(policy)):
            return True
    if any(rule.networks.ipv6 for policy in snapshot.tier_policies for rule in policy.egress):
        return True
    for service in snapshot.every(Service):
        if any(":" in address for address in service.cluster_ips):
            return True
    for slice_ in snapshot.every(EndpointSlice):
        if any(address.version == 6 for endpoint in slice_.endpoints for address in endpoint.addresses):
            return True
    return any(address.version == 6 for node in snapshot.every(NodeAddresses) for address in node.addresses)


def _blocks(policy: NetworkPolicy) -> Iterator[IpBlock]:
    for rule in policy.ingress + policy.egress:
        for peer in rule.peers:
            if peer.ip_block is not None:
                yield peer.ip_block


def _is_ipv6(block: IpBlock) -> bool:
    return ":" in block.cidr
