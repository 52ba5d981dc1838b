"""What the policies of a snapshot say of one connection: the Admin tier first, then NetworkPolicies, and
where none of those isolates, the Baseline tier.

The sentences quoted beside the branches are those of the API reference, networking.k8s.io/v1 `types.go` in
Kubernetes 1.36. Two exceptions that the specification makes don't show here. A pod always reaches itself,
but a workload is a class of pods, and a connection between two of its replicas is subject to policy. And
traffic from the pod's own node is always allowed, but a hostNetwork peer may run on any node.

What network plugins do otherwise is asked of the snapshot's network: whom an ipBlock can match
(`ip_blocks.py`), whether egress is judged at what is dialled (`fronts.py`), and with which rules ipBlocks
share their exceptions (`shared_exceptions.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from istio_netpol.model.addresses import NO_ADDRESSES, AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, Peer, PodsPeer
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.services import DIRECTLY, Dialled, Front
from istio_netpol.model.tiers import Tier, TierPolicy
from istio_netpol.model.verdicts import OPEN, RuleRef, SideVerdict, TierRuleRef, Verdict
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.fronts import brings_in, names_front
from istio_netpol.netpol.ip_blocks import is_beyond, matchable
from istio_netpol.netpol.longest_prefix import by_longest_prefix, refs_of, shares_exceptions
from istio_netpol.netpol.peers import addresses_of, covers, names_pod
from istio_netpol.netpol.ports import admits_port
from istio_netpol.netpol.tiers import OTHER_READINGS, ConnectionEnd, Decisions, Reading, decide
from istio_netpol.netpol.unread_openings import opening_nodes
from istio_netpol.state.snapshot import Snapshot

_ByAddress = list[tuple[RuleRef, AddressSet]]


def judge(
    snapshot: Snapshot,
    source: Peer,
    destination: Peer,
    protocol: Protocol,
    port: int,
    *,
    open_namespaces: frozenset[str] = frozenset(),
    dialled: Dialled = DIRECTLY,
) -> Verdict:
    """Whether `source` may connect to a port of `destination`, without the policies of `open_namespaces`.
    `dialled` is how it does so, which counts where the network judges that.

    `port` is the pod's, after a Service translated it. Replies are implied. Only pods have a side of their
    own: addresses, hosts and AnyPeer are open on theirs. The workloads need not be in the snapshot: the
    policies of their namespace apply to them as if they were, and so do those of the tiers.
    """
    sides = []
    for direction, subject, peer in (
        (Direction.EGRESS, source, destination),
        (Direction.INGRESS, destination, source),
    ):
        isolating = _isolating(snapshot, subject, direction, open_namespaces)
        tiers: tuple[TierPolicy, ...] = ()
        if isinstance(subject, PodsPeer):
            tiers = snapshot.tiers_concerning(subject.workload, direction, protocol, port)
        if not isolating and not tiers:
            sides.append(OPEN)
            continue
        connection = ConnectionEnd(snapshot, direction, peer, _pod(peer), _pod(destination), protocol, port)
        if tiers:
            sides.append(_tiered(tiers, isolating, connection))
        elif dialled.fronts and direction is Direction.EGRESS and snapshot.network.judges_before:
            sides.append(_before_translation(isolating, connection, dialled))
        else:
            sides.append(_perhaps_opened(_side(isolating, connection), subject, connection))
    return Verdict(*sides)


def _perhaps_opened(side: SideVerdict, subject: Peer, connection: ConnectionEnd) -> SideVerdict:
    """The verdict with the policies of the plugin that may open egress to a node, which no ipBlock can."""
    snapshot = connection.snapshot
    if side.allowed or connection.direction is Direction.INGRESS or not isinstance(subject, PodsPeer):
        return side
    if snapshot.network.model.ip_blocks_match_nodes or not is_beyond(connection.peer, snapshot):
        return side
    return replace(side, perhaps_opened_by=opening_nodes(subject.workload, snapshot))


def _before_translation(
    isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd, dialled: Dialled
) -> SideVerdict:
    """The verdict where policies see what the client dials: it is open at all of that, or denied. No plugin
    that judges so has tiers."""
    sides = [_at_front(isolated_by, connection, front) for front in dialled.fronts]
    if dialled.at_own_address:
        sides.append(_side(isolated_by, connection))
    closed = [front for front, side in zip(dialled.fronts, sides, strict=False) if not side.allowed]
    if dialled.at_own_address and not sides[-1].allowed:
        return SideVerdict(isolated_by, dialled=dialled, closed=Dialled(tuple(closed)))
    if closed:
        refused = Dialled(tuple(closed), at_own_address=False)
        return SideVerdict(isolated_by, dialled=dialled, closed=refused)
    allowed_by = dict.fromkeys(ref for side in sides for ref in side.allowed_by)
    by_ip_block = any(side.by_ip_block for side in sides)
    return SideVerdict(isolated_by, tuple(allowed_by), by_ip_block, dialled=dialled)


def _at_front(isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd, front: Front) -> SideVerdict:
    """The verdict on a packet to a Service's own address."""
    snapshot, protocol = connection.snapshot, connection.protocol
    rules = refs_of(isolated_by, connection.direction)
    named = [ref for ref in rules if names_front(ref.rule, ref.policy.namespace, front, protocol, snapshot)]
    has_entry = any(brings_in(ref.rule, ref.policy.namespace, front.service, snapshot) for ref in rules)
    place = AddressSet.of(front.address) if front.address else NO_ADDRESSES
    at_address = replace(connection, peer=AddressPeer(place), pod=None, called=None, port=front.port)
    others, by_address = _admitting(isolated_by, at_address, has_entry=has_entry)
    by_block = _allowing(by_address, at_address.peer, bool(named or others)) if by_address else []
    allowed_by = tuple(dict.fromkeys([*named, *others, *by_block]))
    return SideVerdict(isolated_by, allowed_by)


def _tiered(
    tiers: Sequence[TierPolicy], isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd
) -> SideVerdict:
    """The verdict on a side of which the tiers may have something to say, and what it depends on that can't
    be told."""
    verdict, doubtful = _in_order(tiers, isolated_by, connection, Reading())
    others = (_in_order(tiers, isolated_by, connection, reading)[0] for reading in OTHER_READINGS)
    if doubtful and any(other.allowed is not verdict.allowed for other in others):
        return replace(verdict, undecided=doubtful)
    return verdict


def _in_order(
    tiers: Sequence[TierPolicy],
    isolated_by: tuple[NetworkPolicy, ...],
    connection: ConnectionEnd,
    reading: Reading,
) -> tuple[SideVerdict, tuple[TierRuleRef, ...]]:
    """The verdict tier by tier, and the rules of the tiers that are in doubt.

    "v1.NetworkPolicy always makes a final decision for selected pods. Further evaluation only happens for
    Pods not selected by a v1.NetworkPolicy."
    """
    first, last = ([policy for policy in tiers if policy.tier is tier] for tier in Tier)
    admin, base, allowed = decide(first, connection, connection.addresses, reading), Decisions(), OPEN
    if isolated_by:
        named, by_address = _admitting(isolated_by, connection)
        if not admin.accepting and not admin.denying:
            return _side(isolated_by, connection), admin.doubtful
        opened = admin.left if named else admin.left & AddressSet.union(part for _, part in by_address)
        allowed = _among(
            isolated_by, named, [ref for ref, part in by_address if part & admin.left], connection
        )
    else:
        base = decide(last, connection, admin.left, reading)
        # "If a given connection wasn't allowed or denied by any of the tiers, the default kubernetes policy
        # is applied, which says that all pods can communicate with each other."
        opened = base.accepted | base.left
    doubtful = admin.doubtful + base.doubtful
    if connection.passes(admin.accepted | opened, admin.denied | base.denied):
        return replace(allowed, accepted_by=_refs(admin.accepting + base.accepting)), doubtful
    return SideVerdict(isolated_by, denied_by=_refs(admin.denying + base.denying)), doubtful


def _refs(parts: Iterable[tuple[TierRuleRef, AddressSet]]) -> tuple[TierRuleRef, ...]:
    return tuple(dict.fromkeys(ref for ref, _ in parts))


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
    return tuple([policy for policy in policies if direction in policy.policy_types])


def _side(isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd) -> SideVerdict:
    """The verdict of NetworkPolicies on an isolated side."""
    named, by_address = _admitting(isolated_by, connection)
    by_block = _allowing(by_address, connection.peer, bool(named)) if by_address else []
    return _among(isolated_by, named, by_block, connection)


def _among(
    isolated_by: tuple[NetworkPolicy, ...],
    named: list[RuleRef],
    by_block: list[RuleRef],
    connection: ConnectionEnd,
) -> SideVerdict:
    """The verdict with the rules that admit the peer whatever its address first."""
    is_by_block = (
        connection.pod is not None
        and bool(by_block)
        and not named
        and any(ref.rule.peers for ref in by_block)
    )
    return SideVerdict(isolated_by, tuple(named + by_block), by_ip_block=is_by_block)


def _admitting(
    isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd, *, has_entry: bool = False
) -> tuple[list[RuleRef], _ByAddress]:
    """The rules that admit the peer whatever its address, and those that admit addresses.

    Allowed "if the traffic matches at least one rule across all of the NetworkPolicy objects". `has_entry`
    says that a rule's selectors brought the address in: see `longest_prefix.py`.
    """
    if shares_exceptions(isolated_by, connection):
        return by_longest_prefix(isolated_by, connection, has_entry)
    named: list[RuleRef] = []
    by_address: _ByAddress = []
    for policy in isolated_by:
        for index, rule in enumerate(policy.rules(connection.direction)):
            # "The traffic must match both ports and from."
            if not admits_port(rule.ports, connection.called, connection.protocol, connection.port):
                continue
            ref = RuleRef(policy, connection.direction, index)
            is_named = _names(rule, policy.namespace, connection.pod, connection.snapshot)
            if is_named or _may_be(connection.peer, rule, policy.namespace, connection.snapshot):
                named.append(ref)
            elif addresses := matchable(rule.addresses, connection.peer, connection.snapshot):
                by_address.append((ref, addresses))
    return named, by_address


def _names(rule: PolicyRule, policy_namespace: str, pod: Workload | None, snapshot: Snapshot) -> bool:
    """Whether a rule admits the peer for what it is, wherever it is."""
    if not rule.peers:
        # "If this field is empty or missing, this rule matches all sources".
        return True
    if pod is not None:
        for peer in rule.naming(pod.labels, lambda: snapshot.namespace(pod.namespace).labels):
            if names_pod(peer, policy_namespace, pod, snapshot):
                return True
    return False


def _may_be(peer: Peer, rule: PolicyRule, policy_namespace: str, snapshot: Snapshot) -> bool:
    """Whether a rule admits pods, where any pods may be meant, or these."""
    if not isinstance(peer, AnyPeer):
        return False
    return (peer.in_cluster and bool(rule.selectors)) or any(
        _names(rule, policy_namespace, pod, snapshot) for pod in peer.pods
    )


def _allowing(by_address: _ByAddress, peer: Peer, is_named: bool) -> list[RuleRef]:
    """The rules whose ipBlocks admit all of the peer's addresses, else those that do so together.

    Rules may share the addresses among them, since each packet needs only one. Somebody at an address that
    nobody knows counts as admitted by any block, and by none that misses all the addresses which it may have:
    see `AnyPeer`.
    """
    if isinstance(peer, PodsPeer):
        addresses = addresses_of(peer.workload)
    elif isinstance(peer, AddressPeer):
        addresses = peer.addresses
    else:
        possible = _possible_addresses(peer)
        return [ref for ref, part in by_address if not possible or part & possible]
    alone = [ref for ref, part in by_address if covers(part, addresses)]
    if alone or is_named or len(by_address) == 1:
        return alone
    if not covers(AddressSet.union(part for _, part in by_address), addresses):
        return []
    return [ref for ref, part in by_address if not addresses or part & addresses]


def _possible_addresses(peer: Peer) -> AddressSet:
    """Those of the pods out of which somebody comes and of their nodes; empty where they are not known."""
    pods = peer.pods if isinstance(peer, AnyPeer) else ()
    return AddressSet.of(*(address for pod in pods for address in (*pod.addresses, *pod.node_addresses)))
