"""Which parts of one rule the required flows use, and which parts nothing uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, PodsPeer
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.verdicts import Judged
from istio_netpol.netpol.ip_blocks import is_unnameable
from istio_netpol.netpol.ports import admits_port
from istio_netpol.policy_lint.breadth import far_end, has_opted_in, is_everywhere
from istio_netpol.policy_lint.containment import rule_within
from istio_netpol.policy_lint.narrower import WideRule
from istio_netpol.policy_lint.purposes import is_for_absent_kyma
from istio_netpol.policy_lint.rule_uses import RuleUses, rejudged, with_rules
from istio_netpol.trust.special_addresses import METADATA

LARGEST_NETWORKS = (2**24, 2**120)
"""Addresses of the largest private networks, 10.0.0.0/8 (RFC 1918) and fd00::/8 (RFC 4193)."""


class Surplus(Struct, frozen=True):
    """What of a rule no flow needs, as a clause that follows the rule's place, and the rules that are enough;
    `instead` is empty where none is needed."""

    clause: str
    instead: tuple[PolicyRule, ...] = ()


class UsedRule(Struct, frozen=True, dict=True):
    """One rule of a policy, and the flows that it allows, alone or among others."""

    policy: NetworkPolicy
    direction: Direction
    index: int
    uses: RuleUses

    @property
    def rule(self) -> PolicyRule:
        return self.policy.rules(self.direction)[self.index]

    @cached_property
    def flows(self) -> tuple[Judged, ...]:
        return self.uses.of(self.policy, self.direction, self.index)

    def surplus(self) -> Surplus | None:
        """The part of the rule that is not used; None where all of it is."""
        if not self.flows and is_for_absent_kyma(self.rule, self.policy, self.uses.snapshot):
            return None
        if not self.flows:
            return Surplus("allows nothing that any flow of the control plane needs")
        ports, peers = self._ports_clause(), self._peers_clause()
        clause = " and ".join(part for part in (ports, peers) if part)
        if not clause:
            return None
        kept = PolicyRule(self._used_peers or self.rule.peers, self._used_ports)
        if self._has_wide_ports or self._has_wide_peers:
            cut = WideRule(self.policy.namespace, self.direction, kept, self.uses)
            return Surplus(clause, self._new_ones(cut.cut_down_to(self.flows, self._has_wide_peers)))
        return Surplus(clause, (kept,))

    def _new_ones(self, rules: Sequence[PolicyRule]) -> tuple[PolicyRule, ...]:
        """The flows that the policy's other rules don't allow."""
        others = self.policy.rules(self.direction)
        beside = [other for index, other in enumerate(others) if index != self.index and other.peers]
        return tuple(rule for rule in rules if not rule_within(rule, beside, self.policy.namespace))

    # Ports

    def _ports_clause(self) -> str:
        rule, needed = self.rule, _listed(self._needed_ports)
        if not self._has_wide_ports:
            spare = [port for port in rule.ports if port not in self._used_ports]
            return f"opens {_listed(spare)}, which no flow needs" if spare else ""
        if not rule.ports:
            return f"opens every port where flows need {needed}"
        return f"opens ports {_listed(rule.ports)} where flows need {needed}"

    @cached_property
    def _chooses_ports(self) -> bool:
        """Whether pods at the other end listen on ports that their users choose."""
        ends = (far_end(judged, self.direction) for judged in self.flows)
        return any(isinstance(end, AnyPeer) and end.any_port for end in ends)

    @cached_property
    def _has_wide_ports(self) -> bool:
        if self._chooses_ports:
            return False
        if not self.rule.ports:
            return not (self.rule.peers and all(map(has_opted_in, self.rule.peers)))
        return any(port.port is None or port.end_port not in (None, port.port) for port in self._used_ports)

    @cached_property
    def _used_ports(self) -> tuple[PolicyPort, ...]:
        if self._chooses_ports:
            return self.rule.ports
        return tuple(port for port in self.rule.ports if self._through(port))

    @property
    def _needed_ports(self) -> tuple[PolicyPort, ...]:
        numbers = sorted({(judged.flow.protocol, judged.flow.port) for judged in self.flows})
        return tuple(PolicyPort(protocol, port) for protocol, port in numbers)

    def _through(self, port: PolicyPort) -> tuple[Judged, ...]:
        """The flows that a port of the rule admits."""
        return tuple(judged for judged in self.flows if _admits(port, judged))

    @property
    def _by_port(self) -> list[tuple[Judged, ...]]:
        """The flows of each port of the rule; all of them where it has none."""
        return [self._through(port) for port in self._used_ports] or [self.flows]

    # Peers

    def _peers_clause(self) -> str:
        if not self.rule.peers:
            if not self._has_wide_peers:
                return ""
            few = [port for port in self._used_ports if not self._are_for_everybody(self._through(port))]
            what = "its ports" if len(few) == len(self.rule.ports) else _listed(few)
            return f"opens {what} to every peer, where the flows go to few"
        if self._has_wide_peers:
            return "names more peers than the flows need"
        spare = len(self.rule.peers) - len(self._used_peers)
        noun = "a peer" if spare == 1 else f"{spare} peers"
        return f"names {noun} that no flow needs" if self._used_peers and spare else ""

    @cached_property
    def _used_peers(self) -> tuple[PolicyPeer, ...]:
        return tuple(peer for peer in self.rule.peers if self._is_used(peer))

    @cached_property
    def _has_wide_peers(self) -> bool:
        if not self.rule.peers:
            return not all(map(self._are_for_everybody, self._by_port))
        return any(self._is_wide(peer, flows) for peer in self._used_peers for flows in self._by_port)

    def _are_for_everybody(self, flows: Sequence[Judged]) -> bool:
        """Whether peers that no policy can name call the pods, or are called: clients of a gateway, an API
        server, addresses that no ipBlock of this network plugin matches."""
        ends = [far_end(judged, self.direction) for judged in flows]
        if any(is_unnameable(end, self.uses.snapshot) for end in ends):
            return True
        return self.direction is Direction.INGRESS and any(isinstance(end, AnyPeer) for end in ends)

    def _is_used(self, peer: PolicyPeer) -> bool:
        """Whether the policy would allow any of the flows if this were its only peer."""
        rule = replace(self.rule, peers=(peer,))
        snapshot = self.uses.snapshot.with_changes(put=[with_rules(self.policy, self.direction, (rule,))])
        return any(
            ref.policy.key == self.policy.key
            for judged in self.flows
            for ref in rejudged(judged, snapshot).side(self.direction).allowed_by
        )

    def _is_wide(self, peer: PolicyPeer, flows: Sequence[Judged]) -> bool:
        """Whether a peer names whole namespaces, or more addresses than anybody has, though these flows go to
        few. Metrics are for every pod of the namespaces that scrape, and pods that let themselves be called
        by a label may be anywhere; who calls by a label of his own may not."""
        if any(self._may_be(judged, peer) for judged in flows):
            return False
        if peer.ip_block is not None:
            return self._is_wide_block(peer.ip_block)
        is_ingress = self.direction is Direction.INGRESS
        is_shared = is_ingress and any(judged.flow.shared for judged in flows)
        if is_shared or not flows or (has_opted_in(peer) and not is_ingress):
            return False
        if peer.namespace_selector is not None and is_everywhere(peer.namespace_selector):
            return True
        if is_ingress and any(judged.flow.kind is FlowKind.SCRAPE for judged in flows):
            return False
        return peer.pod_selector is None or peer.pod_selector.is_loose

    def _may_be(self, judged: Judged, peer: PolicyPeer) -> bool:
        """Whether a peer describes something that no policy can name exactly: pods of it, or the addresses
        that it is called at. The API server has few addresses, whether or not they are known."""
        other = far_end(judged, self.direction)
        if isinstance(other, HostPeer):  # a name that nobody looked up
            return peer.ip_block is not None
        if not isinstance(other, AnyPeer) or other.in_cluster != (peer.ip_block is None):
            return False
        return other.in_cluster or judged.flow.kind is FlowKind.WORKLOAD_TO_EXTERNAL

    def _is_wide_block(self, block: IpBlock) -> bool:
        ends = [far_end(judged, self.direction) for judged in self.flows]
        needed = AddressSet.union(end.addresses for end in ends if isinstance(end, AddressPeer))
        found = block.addresses
        if needed & found and found - needed:
            return True
        return _is_beyond_a_network(found) or bool(found & METADATA and not found <= METADATA)


def _admits(port: PolicyPort, judged: Judged) -> bool:
    flow = judged.flow
    called = flow.destination.workload if isinstance(flow.destination, PodsPeer) else None
    return admits_port((port,), called, flow.protocol, flow.port)


def _is_beyond_a_network(addresses: AddressSet) -> bool:
    """Whether addresses are more than the largest private network has."""
    counts = (sum(high - low + 1 for low, high in part) for part in (addresses.ipv4, addresses.ipv6))
    return any(count > most for count, most in zip(counts, LARGEST_NETWORKS, strict=True))


def _listed(ports: Iterable[PolicyPort]) -> str:
    return ", ".join(map(_text, ports))


def _text(port: PolicyPort) -> str:
    number = "(all)" if port.port is None else port.port
    return f"{port.protocol} {number}" + (f"-{port.end_port}" if port.end_port else "")


def used_rules(policy: NetworkPolicy, uses: RuleUses) -> Iterator[UsedRule]:
    """The rules of a policy that count, each with the flows through it."""
    for direction in Direction:
        if direction in policy.policy_types:
            for index in range(len(policy.rules(direction))):
                yield UsedRule(policy, direction, index, uses)
