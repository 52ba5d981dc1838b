"""The narrower form of a policy: the same pods, isolated as before, with no more open than flows need.

Several may be followed one after the other: each is judged beside those before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.flows import AddressPeer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import EVERYTHING, namespace_named
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.ports import admits_port
from istio_netpol.policy_lint.breadth import Breadth, far_end, is_all_ports
from istio_netpol.policy_lint.containment import opens_within, rule_within
from istio_netpol.policy_lint.rule_uses import RuleUses, rejudged, with_rules
from istio_netpol.remedies.combine import MOST_PEERS
from istio_netpol.remedies.pod_selector import selector_of
from istio_netpol.state.snapshot import Snapshot

RulePlace = tuple[Direction, int]
"""Where a rule stands in its policy."""


def narrowed(
    policy: NetworkPolicy,
    wide: Mapping[RulePlace, Breadth],
    split: Mapping[RulePlace, PolicyRule],
    uses: RuleUses,
) -> NetworkPolicy | None:
    """The policy with its wide rules cut down to what flows need through them, and with `split` rules in the
    place of those that were meant so; None where nothing narrower is known that keeps its flows."""
    instead: dict[RulePlace, tuple[PolicyRule, ...]] = {place: (rule,) for place, rule in split.items()}
    for (direction, index), breadth in wide.items():
        flows = uses.of(policy, direction, index)
        if flows:
            rule = split.get((direction, index), policy.rules(direction)[index])
            cut = WideRule(policy.namespace, direction, rule, uses)
            instead[direction, index] = cut.cut_down_to(flows, bool(breadth.peers))
    found = with_instead(policy, instead)
    if instead and _keeps_its_flows(policy, found, uses):
        return found
    return narrowed(policy, wide, {}, uses) if split else None


def with_instead(policy: NetworkPolicy, instead: Mapping[RulePlace, tuple[PolicyRule, ...]]) -> NetworkPolicy:
    """The policy with other rules in the place of some of its own."""
    for direction in Direction:
        rules = policy.rules(direction)
        replaced = tuple(
            new for index, rule in enumerate(rules) for new in instead.get((direction, index), (rule,))
        )
        policy = with_rules(policy, direction, replaced) if replaced != rules else policy
    return policy


def _keeps_its_flows(policy: NetworkPolicy, narrower: NetworkPolicy, uses: RuleUses) -> bool:
    """Whether one policy in the place of another opens less, and still allows every flow that passed it."""
    if not opens_within(narrower, _as_meant(policy, uses)) or opens_within(policy, narrower):
        return False
    snapshot = uses.snapshot.with_changes(put=[narrower])
    return all(
        _is_allowed_by(narrower, judged, direction, snapshot)
        for direction in policy.policy_types
        for index in range(len(policy.rules(direction)))
        for judged in uses.of(policy, direction, index)
    )


def _as_meant(policy: NetworkPolicy, uses: RuleUses) -> NetworkPolicy:
    """The policy, with every peer in the place of ipBlocks that together are all addresses of the cluster."""
    instead = {
        (direction, index): (PolicyRule((), rule.ports),)
        for direction in policy.policy_types
        for index, rule in enumerate(policy.rules(direction))
        if uses.every_address <= rule.addresses
    }
    return with_instead(policy, instead)


def _is_allowed_by(policy: NetworkPolicy, judged: Judged, direction: Direction, snapshot: Snapshot) -> bool:
    """Whether the policy itself allows a flow: the others may be narrowed as well, each without a look at the
    rest."""
    side = rejudged(judged, snapshot).side(direction)
    return side.allowed and any(ref.policy.key == policy.key for ref in side.allowed_by)


class WideRule(Struct, frozen=True):
    """A rule that opens too much, of a policy of this namespace."""

    namespace: str
    direction: Direction
    rule: PolicyRule
    uses: RuleUses

    def cut_down_to(self, flows: Sequence[Judged], names_peers: bool) -> tuple[PolicyRule, ...]:
        """Rules for these flows alone, for their peers alone where `names_peers`. Peers with the same ports
        share a rule."""
        ports: dict[PolicyPeer | None, set[PolicyPort]] = {}
        for judged in flows:
            for peer in self._named_peers(judged) if names_peers else [None]:
                ports.setdefault(peer, set()).add(self._port(judged))
        alike: dict[tuple[PolicyPort, ...], list[PolicyPeer | None]] = {}
        for peer, needed in ports.items():
            listed = tuple(sorted(needed, key=lambda port: (port.protocol, str(port.port).zfill(5))))
            alike.setdefault(listed, []).append(peer)
        return tuple(rule for listed, peers in alike.items() for rule in self._rules(peers, listed))

    def _rules(self, peers: list[PolicyPeer | None], ports: tuple[PolicyPort, ...]) -> Iterator[PolicyRule]:
        if None in peers:
            yield PolicyRule(self.rule.peers, ports)
        named = [peer for peer in peers if peer is not None]
        for start in range(0, len(named), MOST_PEERS):
            yield PolicyRule(tuple(named[start : start + MOST_PEERS]), ports)

    def _named_peers(self, judged: Judged) -> list[PolicyPeer | None]:
        """Who is at the other end of a flow; None for the rule's own peers, where nobody narrower can be
        named."""
        named = self._peers(judged)
        peers = () if self.uses.every_address <= self.rule.addresses else self.rule.peers
        is_narrower = rule_within(PolicyRule(named), [PolicyRule(peers)], self.namespace)
        return [*named] if named and is_narrower else [None]

    def _peers(self, judged: Judged) -> tuple[PolicyPeer, ...]:
        if judged.flow.shared and self.direction is Direction.INGRESS:
            return (PolicyPeer(namespace_selector=EVERYTHING),)
        peer = far_end(judged, self.direction)
        if isinstance(peer, AddressPeer):
            return tuple(PolicyPeer(ip_block=IpBlock(cidr)) for cidr in peer.addresses.cidrs())
        return _pods(peer.workload, self.namespace, self.uses.snapshot) if isinstance(peer, PodsPeer) else ()

    def _port(self, judged: Judged) -> PolicyPort:
        """The port of a flow, as the rule names it unless that is every port."""
        flow = judged.flow
        called = flow.destination.workload if isinstance(flow.destination, PodsPeer) else None
        for port in self.rule.ports:
            if not is_all_ports(port) and admits_port((port,), called, flow.protocol, flow.port):
                return port
        return PolicyPort(flow.protocol, flow.port)


def _pods(workload: Workload, namespace: str, snapshot: Snapshot) -> tuple[PolicyPeer, ...]:
    if workload.host_network:
        addresses = workload.node_addresses
        return tuple(
            PolicyPeer(ip_block=IpBlock(f"{address}/{address.max_prefixlen}")) for address in addresses
        )
    selector = selector_of(workload, snapshot)
    if selector is None:
        return ()
    if workload.namespace == namespace:
        return (PolicyPeer(pod_selector=selector),)
    return (PolicyPeer(pod_selector=selector, namespace_selector=namespace_named(workload.namespace)),)


def for_fewer_pods(policy: NetworkPolicy, needy: Sequence[Workload], uses: RuleUses) -> NetworkPolicy | None:
    """The policy for these of its pods alone; None where labels can't tell them from its others, or where the
    others would no longer be isolated."""
    snapshot = uses.snapshot
    if len(needy) != 1 or (selector := selector_of(needy[0], snapshot)) is None:
        return None
    narrower = replace(policy, pod_selector=selector)
    if snapshot.select(policy.namespace, selector) != tuple(needy) or not _keeps_its_flows(
        policy, narrower, uses
    ):
        return None
    left = snapshot.with_changes(remove=[policy])
    for workload in snapshot.select(policy.namespace, policy.pod_selector):
        types = {kind for other in left.policies_for(workload) for kind in other.policy_types}
        if workload not in needy and not workload.host_network and not policy.policy_types <= types:
            return None
    return narrower


class Followed:
    """Takes policies in the place of others one by one, each judged beside those before it: so all of them
    may be followed, or any."""

    def __init__(self, uses: RuleUses) -> None:
        self.uses = uses
        self.snapshot = uses.snapshot

    def lost(self, policy: NetworkPolicy, snapshot: Snapshot) -> Iterator[tuple[Direction, RequiredFlow]]:
        """The flows through a policy that would be denied in a snapshot with other policies, and on which
        side."""
        for direction in sorted(policy.policy_types):
            for index in range(len(policy.rules(direction))):
                for judged in self.uses.of(policy, direction, index):
                    if not rejudged(judged, snapshot).side(direction).allowed:
                        yield direction, judged.flow

    def takes(self, policy: NetworkPolicy, other: NetworkPolicy) -> bool:
        """Whether another policy may stand in the place of this one, which it then does: it opens nothing
        more, and every flow that passed is still allowed."""
        if other.does_the_same(policy) or not opens_within(other, _as_meant(policy, self.uses)):
            return False
        after = self.snapshot.with_changes(put=[other])
        if any(True for _ in self.lost(policy, after)):
            return False
        self.snapshot = after
        return True
