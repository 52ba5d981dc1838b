"""Whom a policy names for peers whom nobody can name: no more than is known of them, and than was meant."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, PolicyPeer, PolicyRule
from istio_netpol.netpol.ports import admits_port
from istio_netpol.remedies.denied_sides import Opening
from istio_netpol.state.snapshot import Snapshot

_PROXY_PORTS = (15008, 15020, 15021, 15090)
"""Where ztunnel, scrapers and health checks reach a proxy: who may do so is no client."""


def unnamed_peers(peer: AnyPeer, opening: Opening, snapshot: Snapshot) -> tuple[PolicyPeer, ...] | str:
    """The peers of a rule for them, none for everybody; or why none is written.

    They are those whom other rules admit to the same pods as clients, else any pods where they are in the
    cluster, else where they come from. Where a rule admits only pods to the very port, somebody has narrowed
    it, and it is not opened to everybody.
    """
    if opening.direction is Direction.EGRESS or opening.flow.port in _PROXY_PORTS:
        return ()
    admitted = dict.fromkeys(each for _, rule in _rules(opening, snapshot) for each in rule.peers)
    named = tuple(each for each in admitted if (each.ip_block is None) == peer.in_cluster)
    if named:
        return named
    if peer.in_cluster:
        return (PolicyPeer(namespace_selector=EVERYTHING),)
    if peer.within is not None:
        return tuple(PolicyPeer(ip_block=IpBlock(cidr)) for cidr in peer.within.cidrs())
    flow = opening.flow
    for policy, rule in _rules(opening, snapshot):
        if admits_port(rule.ports, opening.subject, flow.protocol, flow.port) and rule.selectors:
            return (
                f"NetworkPolicy {policy} admits only pods to this port, and another one would open it to "
                "everybody; admit the addresses of the clients by an ipBlock, or make its Service a ClusterIP"
            )
    return ()


def _rules(opening: Opening, snapshot: Snapshot) -> Iterator[tuple[str, PolicyRule]]:
    """The rules by which policies of the opening's pods admit clients, with the names of the policies."""
    for policy in snapshot.policies_for(opening.subject):
        for rule in policy.rules(opening.direction) if opening.direction in policy.policy_types else ():
            if any(port.port not in _PROXY_PORTS for port in rule.ports if port.protocol is Protocol.TCP):
                yield policy.key, rule
