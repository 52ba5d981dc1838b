"""Evaluates the Admin and Baseline tiers for one connection, before and after NetworkPolicies are asked.

The sentences quoted are those of the API reference: network-policy-api, apis/v1alpha1 and apis/v1alpha2. A
peer may be at several addresses, or at unknown ones, and rules may tell them apart: so what is decided are
sets of addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from istio_netpol.model.addresses import ALL_ADDRESSES, ALL_IPV4, ALL_IPV6, NO_ADDRESSES, AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction
from istio_netpol.model.tiers import Action, TierPolicy, TierRule, names_host
from istio_netpol.model.verdicts import TierRuleRef
from istio_netpol.model.workloads import NodeAddresses, Workload
from istio_netpol.netpol.ip_blocks import POSSIBLE_ADDRESSES
from istio_netpol.netpol.ipv6 import knows_ipv6
from istio_netpol.netpol.peers import addresses_of, names_pod
from istio_netpol.netpol.ports import admits_port
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot

_POSSIBLE_IPV4, _POSSIBLE_IPV6 = POSSIBLE_ADDRESSES


class ConnectionEnd(Struct, frozen=True):
    """One end of a connection as the other end's policies see it. `pod` is the peer where selectors can mean
    it, `called` the destination where it is a pod, which resolves port names."""

    snapshot: Snapshot
    direction: Direction
    peer: Peer
    pod: Workload | None
    called: Workload | None
    protocol: Protocol
    port: int

    @property
    def addresses(self) -> AddressSet:
        """Where the peer is, or may be."""
        match self.peer:
            case PodsPeer(workload=workload):
                return addresses_of(workload) or _POSSIBLE_IPV4 | _POSSIBLE_IPV6
            case AddressPeer(addresses=addresses):
                return addresses
        return ALL_ADDRESSES

    @property
    def is_located(self) -> bool:
        """Whether it is known where the peer is."""
        if isinstance(self.peer, PodsPeer):
            return bool(addresses_of(self.peer.workload))
        return isinstance(self.peer, AddressPeer)

    def passes(self, opened: AddressSet, denied: AddressSet) -> bool:
        """Whether it is enough that these addresses are open and these denied by a tier: for a known peer
        its own; for pods at unknown addresses a family, the IPv4 one if anything of that is denied; else any
        address."""
        if self.is_located:
            return self.addresses <= opened
        if isinstance(self.peer, PodsPeer):
            return opened >= _POSSIBLE_IPV4 or (not denied & _POSSIBLE_IPV4 and opened >= _POSSIBLE_IPV6)
        return bool(opened & ALL_IPV4) or (not denied & ALL_IPV4 and bool(opened))


DecidedPart = tuple[TierRuleRef, AddressSet]
"""A rule and the addresses on which it decides."""


class Decisions(Struct, frozen=True):
    """What one tier decides of the addresses of a peer. `left` is what the next tier is asked for: nothing
    matched it, or a rule passed it on. `doubtful` are rules of which it can't be told whether they match, or
    which other rules of the same priority contradict."""

    accepting: tuple[DecidedPart, ...] = ()
    denying: tuple[DecidedPart, ...] = ()
    left: AddressSet = NO_ADDRESSES
    doubtful: tuple[TierRuleRef, ...] = ()

    @property
    def accepted(self) -> AddressSet:
        return AddressSet.union(part for _, part in self.accepting)

    @property
    def denied(self) -> AddressSet:
        return AddressSet.union(part for _, part in self.denying)


class Doubt(Enum):
    """How to read a rule of which nobody can tell whether it matches: by what it surely matches, as matching,
    or as not matching."""

    SURE = "sure"
    MATCHES = "matches"
    MISSES = "misses"


class Reading(NamedTuple):
    """How rules in doubt are read, and which action comes first where policies of one priority contradict
    each other."""

    doubt: Doubt = Doubt.SURE
    ties: tuple[Action, ...] = (Action.DENY, Action.PASS, Action.ACCEPT)


OTHER_READINGS = (
    Reading(Doubt.MATCHES),
    Reading(Doubt.MISSES),
    Reading(ties=(Action.PASS, Action.ACCEPT, Action.DENY)),
    Reading(ties=(Action.ACCEPT, Action.PASS, Action.DENY)),
)
"""The other readings that a cluster may have: a verdict is certain where all of them agree."""


def decide(
    policies: Sequence[TierPolicy], connection: ConnectionEnd, over: AddressSet, reading: Reading
) -> Decisions:
    """The decisions of the policies of one tier, which come in their order, on a peer at these addresses."""
    decided: dict[Action, list[DecidedPart]] = {action: [] for action in Action}
    doubtful: list[TierRuleRef] = []
    left = over
    for _, alike in groupby(policies, key=lambda policy: policy.priority):
        found = [part for policy in alike for part in _matching(policy, connection, left, reading, doubtful)]
        if not found:
            continue
        doubtful += _contradicting(found)
        # "If two (or more) policies with the same priority could both match a connection, then the
        # implementation can apply any of the matching policies": read strictly, what lets least pass.
        for action in reading.ties:
            taken = NO_ADDRESSES
            for ref, part in found:
                if _action(ref) is action and (rest := part & left):
                    decided[action].append((ref, rest))
                    taken |= rest
            if taken:
                left -= taken
    passed = AddressSet.union(part for _, part in decided[Action.PASS])
    return Decisions(
        tuple(decided[Action.ACCEPT]),
        tuple(decided[Action.DENY]),
        left | passed,
        tuple(dict.fromkeys(doubtful)),
    )


def _matching(
    policy: TierPolicy,
    connection: ConnectionEnd,
    left: AddressSet,
    reading: Reading,
    doubtful: list[TierRuleRef],
) -> Iterator[DecidedPart]:
    """The rules of a policy with what each decides: "a rule that appears at the top of the ingress rules
    would take the highest precedence"."""
    for index, rule in enumerate(policy.rules(connection.direction)):
        if not left:
            return
        if not admits_port(rule.ports, connection.called, connection.protocol, connection.port):
            continue
        ref = TierRuleRef(policy, connection.direction, index)
        part = matched(rule, connection) & left
        if part != left and is_doubtful(rule, connection):
            doubtful.append(ref)
            part = {Doubt.SURE: part, Doubt.MATCHES: left, Doubt.MISSES: NO_ADDRESSES}[reading.doubt]
        if part:
            yield ref, part
            left -= part


def _contradicting(found: Sequence[DecidedPart]) -> Iterator[TierRuleRef]:
    """The rules that decide otherwise than another one about the same addresses."""
    if len({ref.policy for ref, _ in found}) < 2:
        return
    for ref, part in found:
        if any(_action(ref) is not _action(other) and part & there for other, there in found):
            yield ref


def _action(ref: TierRuleRef) -> Action:
    return ref.rule.action


def matched(rule: TierRule, connection: ConnectionEnd) -> AddressSet:
    """The addresses at which a rule matches the peer: everywhere, where it names it for what it is."""
    peer, pod, snapshot = connection.peer, connection.pod, connection.snapshot
    if pod is not None and any(names_pod(element, "", pod, snapshot) for element in rule.selectors):
        return connection.addresses
    if isinstance(peer, AddressPeer | HostPeer) and peer.host and names_host(rule.domain_names, peer.host):
        return connection.addresses
    if not rule.nodes or pod is not None:
        # A pod that is not in the host's network is never at a node's address.
        return rule.networks
    if isinstance(peer, PodsPeer) and any(selector.is_everything for selector in rule.nodes):
        return connection.addresses
    return rule.networks | node_addresses(rule.nodes, snapshot)


def node_addresses(selectors: Iterable[Selector], snapshot: Snapshot) -> AddressSet:
    """ "It selects the nodeIPs as the peer type by matching on the IPs present in the node.Status.Addresses
    field"."""
    nodes = snapshot.of_type(NodeAddresses, CLUSTER_SCOPE)
    return AddressSet.union(
        AddressSet.of(*node.addresses)
        for node in nodes
        if any(selector.matches(node.labels) for selector in selectors)
    )


def is_doubtful(rule: TierRule, connection: ConnectionEnd) -> bool:
    """Whether nobody can tell if a rule matches the peer. Only the cluster knows what a domain name stands
    for, who is at an address without a name, and which Nodes there are."""
    peer = connection.peer
    if connection.pod is not None:
        # What a pod is, is known. Where it is may not be, and networks may mean some of the places only. IPv4
        # decides of these pods: see `Connection.passes`.
        covered = rule.networks & _POSSIBLE_IPV4
        return not connection.is_located and bool(covered) and covered != _POSSIBLE_IPV4
    if isinstance(peer, PodsPeer):
        return bool(rule.nodes) and (not connection.is_located or not knows_nodes(connection.snapshot))
    if rule.nodes and not knows_nodes(connection.snapshot):
        return True
    return bool(rule.domain_names) and not (isinstance(peer, AddressPeer | HostPeer) and peer.host)


def is_closed(workload: Workload, direction: Direction, snapshot: Snapshot) -> bool:
    """Whether the tier behind NetworkPolicies leaves nothing open to pods in a direction: no peer, wherever
    it is, on no port.

    Of ingress that is never so: its rules name pods alone, and others may call.
    """
    denied = NO_ADDRESSES
    behind = [policy for policy in snapshot.tiers_for(workload) if not policy.tier.precedes_policies]
    for _, alike in groupby(behind, key=lambda policy: policy.order[:2]):
        rules = [rule for policy in alike for rule in policy.rules(direction)]
        if any(rule.action is not Action.DENY for rule in rules):
            return False
        denied |= AddressSet.union(rule.networks for rule in rules if not rule.ports)
        if denied >= ALL_IPV4 and (denied >= ALL_IPV6 or not knows_ipv6(snapshot)):
            return True
    return False


def knows_nodes(snapshot: Snapshot) -> bool:
    """Whether the cluster's Nodes were read."""
    return bool(snapshot.of_type(NodeAddresses, CLUSTER_SCOPE))
