"""What the policies of a snapshot say of one connection.

The sentences quoted beside the branches are those of the API reference, networking.k8s.io/v1 `types.go` in
Kubernetes 1.36. Two exceptions that the specification makes don't show here. A pod always reaches itself,
but a workload is a class of pods, and a connection between two of its replicas is subject to policy. And
traffic from the pod's own node is always allowed, but a hostNetwork peer may run on any node.
"""

from __future__ import annotations

from dataclasses import dataclass

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.verdicts import OPEN, RuleRef, SideVerdict, Verdict
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.peers import addresses_of, covers, names_pod
from istio_netpol.netpol.ports import admits_port
from istio_netpol.state.snapshot import Snapshot

_ALL_OPEN = Verdict()
_ByAddress = list[tuple[RuleRef, AddressSet]]


def judge(
    snapshot: Snapshot,
    source: Peer,
    destination: Peer,
    protocol: Protocol,
    port: int,
    *,
    open_namespaces: frozenset[str] = frozenset(),
) -> Verdict:
    """Whether `source` may connect to a port of `destination`, without the policies of `open_namespaces`.

    `port` is the pod's, after a Service translated it. Replies are implied. Only pods have a side of their
    own: addresses, hosts and AnyPeer are open on theirs. The workloads need not be in the snapshot: the
    policies of their namespace apply to them as if they were.
    """
    egress = _isolating(snapshot, source, Direction.EGRESS, open_namespaces)
    ingress = _isolating(snapshot, destination, Direction.INGRESS, open_namespaces)
    if not egress and not ingress:
        return _ALL_OPEN
    connection = _Connection(snapshot, _pod(destination), protocol, port)
    return Verdict(
        _side(egress, Direction.EGRESS, destination, connection) if egress else OPEN,
        _side(ingress, Direction.INGRESS, source, connection) if ingress else OPEN,
    )


@dataclass(frozen=True, slots=True)
class _Connection:
    """What both sides need to know; `called` is the destination if it is a pod, and resolves port names."""

    snapshot: Snapshot
    called: Workload | None
    protocol: Protocol
    port: int


def _pod(peer: Peer) -> Workload | None:
    """The pods that selectors and port names can mean; hostNetwork pods are addresses of their nodes."""
    return peer.workload if isinstance(peer, PodsPeer) and not peer.workload.host_network else None


def _isolating(
    snapshot: Snapshot, subject: Peer, direction: Direction, open_namespaces: frozenset[str]
) -> tuple[NetworkPolicy, ...]:
    """The policies that isolate a peer in a direction; none leaves it open.

    "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod", and a policy affects
    only the directions of its policyTypes.
    """
    if not isinstance(subject, PodsPeer) or subject.workload.namespace in open_namespaces:
        return ()
    policies = snapshot.policies_for(subject.workload)
    return tuple(policy for policy in policies if direction in policy.policy_types)


def _side(
    isolated_by: tuple[NetworkPolicy, ...], direction: Direction, peer: Peer, connection: _Connection
) -> SideVerdict:
    """The verdict on an isolated side, with the rules that admit the peer whatever its address first.

    Allowed "if the traffic matches at least one rule across all of the NetworkPolicy objects".
    """
    named: list[RuleRef] = []
    by_address: _ByAddress = []
    pod = _pod(peer)
    for policy in isolated_by:
        for index, rule in enumerate(policy.rules(direction)):
            # "The traffic must match both ports and from."
            if not admits_port(rule.ports, connection.called, connection.protocol, connection.port):
                continue
            if _names(rule, policy.namespace, pod, connection.snapshot):
                named.append(RuleRef(policy, direction, index))
            elif addresses := rule.addresses:
                by_address.append((RuleRef(policy, direction, index), addresses))
    by_block = _allowing(by_address, peer, bool(named)) if by_address else []
    return SideVerdict(
        isolated_by, tuple(named + by_block), by_ip_block=pod is not None and bool(by_block) and not named
    )


def _names(rule: PolicyRule, policy_namespace: str, pod: Workload | None, snapshot: Snapshot) -> bool:
    """Whether a rule admits the peer for what it is, wherever it is."""
    if not rule.peers:
        # "If this field is empty or missing, this rule matches all sources".
        return True
    return pod is not None and any(
        names_pod(peer, policy_namespace, pod, snapshot) for peer in rule.selectors
    )


def _allowing(by_address: _ByAddress, peer: Peer, is_named: bool) -> list[RuleRef]:
    """The rules whose ipBlocks admit all of the peer's addresses, else those that do so together.

    Rules may share the addresses among them, since each packet needs only one. Somebody at an address that
    nobody knows counts as admitted by any block: see `AnyPeer`.
    """
    if isinstance(peer, PodsPeer):
        addresses = addresses_of(peer.workload)
    elif isinstance(peer, AddressPeer):
        addresses = peer.addresses
    else:
        return [ref for ref, _ in by_address]
    alone = [ref for ref, part in by_address if covers(part, addresses)]
    if alone or is_named or len(by_address) == 1:
        return alone
    if not covers(AddressSet.union(part for _, part in by_address), addresses):
        return []
    return [ref for ref, part in by_address if not addresses or part & addresses]
