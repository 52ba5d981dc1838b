"""Which peers a policy names where the real peers can't be named: no more than is known about them, and no
more than other rules already meant."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, FlowKind
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.ports import admits_port
from istio_netpol.remedies.denied_sides import Opening
from istio_netpol.state.snapshot import Snapshot

_CALLED_PROXY_PORTS = (15008, 15020, 15021, 15090)
"""Ports on which ztunnel, scrapers and health checks reach a proxy. Whoever may call these is not a client
of the gateway."""

_PROXY_PORT_NAMES = ("http-envoy-prom",)
"""What injection templates call those of them that they declare, which pods do not have before it."""

_NARROWED = {
    FlowKind.CLIENT_TO_GATEWAY: "admit the addresses of the clients by an ipBlock, or make its Service a "
    "ClusterIP",
    FlowKind.WEBHOOK_FROM_APISERVER: "admit by an ipBlock the addresses from which the API server calls, "
    "which are most often those of the control plane's nodes",
    FlowKind.SCRAPE: "name the namespaces of those who scrape with the setting scrapeNamespaces",
}
"""What helps where a rule admits only pods, and the peers are none or nobody knows which."""


def unnamed_peers(peer: AnyPeer, opening: Opening, snapshot: Snapshot) -> tuple[PolicyPeer, ...] | str:
    """The peers of a rule that opens a side to peers without a name: an empty tuple for everybody, or a
    sentence that says why no rule is written.

    A gateway's clients are those whom other rules admit to the same pods: whoever calls one port may call the
    others. That is not so of the API server, nor of whoever scrapes. Else they are any pods where they are in
    the cluster, else where they come from. Where a rule admits only pods to the very port, somebody has
    narrowed it, and it is not opened to everybody.
    """
    flow = opening.flow
    if opening.direction is Direction.EGRESS:
        return (PolicyPeer(namespace_selector=EVERYTHING),) if peer.in_cluster else ()
    if flow.port in _CALLED_PROXY_PORTS:
        return _blocks(peer)
    if flow.kind is FlowKind.CLIENT_TO_GATEWAY:
        admitted = dict.fromkeys(
            rule_peer for _, rule in _rules(opening, snapshot) for rule_peer in rule.peers
        )
        named = tuple(rule_peer for rule_peer in admitted if (rule_peer.ip_block is None) == peer.in_cluster)
        if named:
            return named
    if peer.in_cluster:
        return (PolicyPeer(namespace_selector=EVERYTHING),)
    if peer.within is not None:
        return _blocks(peer)
    for policy, rule in _rules(opening, snapshot):
        if admits_port(rule.ports, opening.subject, flow.protocol, flow.port) and rule.selectors:
            return (
                f"NetworkPolicy {policy} admits only pods to this port, and another one would open it to "
                f"everybody; {_NARROWED[flow.kind]}"
            )
    return ()


def _blocks(peer: AnyPeer) -> tuple[PolicyPeer, ...]:
    """ipBlocks of the addresses that the peers come from, as far as these are known."""
    return tuple(PolicyPeer(ip_block=IpBlock(cidr)) for cidr in peer.within.cidrs()) if peer.within else ()


def _rules(opening: Opening, snapshot: Snapshot) -> Iterator[tuple[str, PolicyRule]]:
    """The rules by which policies of the opening's pods admit clients, with the names of the policies."""
    for policy in snapshot.policies_for(opening.subject):
        for rule in policy.rules(opening.direction) if opening.direction in policy.policy_types else ():
            if any(_is_for_clients(port, opening.subject) for port in rule.ports):
                yield policy.key, rule


def _is_for_clients(entry: PolicyPort, gateway: Workload) -> bool:
    """Whether an entry of a rule's ports has any that is not the proxy's own."""
    if entry.protocol is not Protocol.TCP or entry.port in _PROXY_PORT_NAMES:
        return False
    if isinstance(entry.port, int):
        return not set(range(entry.port, (entry.end_port or entry.port) + 1)) <= set(_CALLED_PROXY_PORTS)
    numbers = gateway.named_port(entry.port, Protocol.TCP) if entry.port else ()
    return not numbers or not set(numbers) <= set(_CALLED_PROXY_PORTS)
