"""Rules of a bundle that allow more than the control plane uses, and the narrower rule for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, Peer, PodsPeer
from istio_netpol.model.labels import Selector, namespace_named
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.verdicts import Judged
from istio_netpol.netpol.ip_blocks import is_beyond
from istio_netpol.policy_lint.absent_kyma import is_for_absent_kyma
from istio_netpol.policy_lint.breadth import has_opted_in
from istio_netpol.policy_lint.uses import Uses, rejudged, with_rules
from istio_netpol.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class UsedRule:
    """One rule of a policy, and the flows through it."""

    snapshot: Snapshot
    policy: NetworkPolicy
    direction: Direction
    rule: PolicyRule
    flows: tuple[Judged, ...]

    def narrowed(self) -> tuple[PolicyRule | None, str]:
        """What the flows need of the rule, None for nothing; and what of it they don't, empty where all is
        used."""
        if not self.flows and is_for_absent_kyma(self.rule, self.policy, self.snapshot):
            return self.rule, ""
        if not self.flows:
            return None, "allows nothing that any flow of the control plane needs"
        ports, spare_ports = self._ports()
        peers, spare_peers = self._peers()
        return PolicyRule(peers, ports), " and ".join(each for each in (spare_ports, spare_peers) if each)

    def _ports(self) -> tuple[tuple[PolicyPort, ...], str]:
        rule = self.rule
        if any(isinstance(each, AnyPeer) and each.any_port for each in self._others):
            return rule.ports, ""
        needed = tuple(
            PolicyPort(protocol, port)
            for protocol, port in sorted({(each.flow.protocol, each.flow.port) for each in self.flows})
        )
        if not rule.ports:
            if rule.peers and all(has_opted_in(peer) for peer in rule.peers):
                return (), ""
            return needed, f"opens every port where flows need {_listed(needed)}"
        used = tuple(port for port in rule.ports if self._is_used(replace(rule, ports=(port,))))
        if any(port.port is None or port.end_port not in (None, port.port) for port in used):
            return needed, f"opens ports {_listed(rule.ports)} where flows need {_listed(needed)}"
        spare = [port for port in rule.ports if port not in used]
        return used, f"opens {_listed(spare)}, which no flow needs" if spare else ""

    def _peers(self) -> tuple[tuple[PolicyPeer, ...], str]:
        """Rules for peers whom no policy can name may be open to everybody."""
        rule, others = self.rule, self._others
        if not rule.peers:
            if any(isinstance(each, AnyPeer) for each in others) and self.direction is Direction.INGRESS:
                return (), ""
            if any(is_beyond(each, self.snapshot) for each in others):
                return (), ""
            return self._named_others(), "opens its ports to every peer, where the flows go to few"
        used = tuple(peer for peer in rule.peers if self._is_used(replace(rule, peers=(peer,))))
        if any(self._is_wide(peer) for peer in used):
            return self._named_others() or used, "names more peers than the flows need"
        spare = len(rule.peers) - len(used)
        return used or rule.peers, f"names {spare} peers that no flow needs" if used and spare else ""

    def _is_used(self, rule: PolicyRule) -> bool:
        """Whether the policy would allow any of the flows if this were its only rule."""
        snapshot = self.snapshot.with_changes(put=[with_rules(self.policy, self.direction, (rule,))])
        return any(
            ref.policy.key == self.policy.key
            for judged in self.flows
            for ref in rejudged(judged, snapshot).side(self.direction).allowed_by
        )

    def _is_wide(self, peer: PolicyPeer) -> bool:
        """Whether a peer names whole namespaces, or all addresses, though the flows go to few. Metrics are
        for every pod of the namespaces that scrape."""
        if any(self._may_be(each, peer) for each in self.flows):
            return False
        if peer.ip_block is not None:
            needed = AddressSet.union(
                each.addresses for each in self._others if isinstance(each, AddressPeer)
            )
            found = peer.ip_block.addresses
            return bool(needed & found and found - needed) or peer.ip_block.cidr.endswith("/0")
        is_shared = self.direction is Direction.INGRESS and any(each.flow.shared for each in self.flows)
        if is_shared or has_opted_in(peer):
            return False
        is_scraped = any(each.flow.kind is FlowKind.SCRAPE for each in self.flows)
        is_any_pod = peer.pod_selector is None or peer.pod_selector.is_everything
        is_any_namespace = peer.namespace_selector is not None and peer.namespace_selector.is_everything
        return is_any_namespace or (is_any_pod and not is_scraped)

    def _may_be(self, judged: Judged, peer: PolicyPeer) -> bool:
        """Whether a peer names what somebody is whom no policy can name: pods, or addresses one goes to.
        The API server is at few addresses, known or not."""
        other = judged.flow.source if self.direction is Direction.INGRESS else judged.flow.destination
        if isinstance(other, HostPeer):  # a name that nobody looked up
            return peer.ip_block is not None
        if not isinstance(other, AnyPeer) or other.in_cluster != (peer.ip_block is None):
            return False
        return other.in_cluster or judged.flow.kind is FlowKind.WORKLOAD_TO_EXTERNAL

    @property
    def _others(self) -> list[Peer]:
        """Who is at the other end."""
        is_source = self.direction is Direction.INGRESS
        return [each.flow.source if is_source else each.flow.destination for each in self.flows]

    def _named_others(self) -> tuple[PolicyPeer, ...]:
        return tuple(dict.fromkeys(peer for each in self._others for peer in _named(each)))


def used_rule(policy: NetworkPolicy, direction: Direction, index: int, uses: Uses) -> UsedRule:
    """A rule of a policy with the flows that it allows, alone or among others."""
    flows = uses.of(policy, direction, index)
    return UsedRule(uses.snapshot, policy, direction, policy.rules(direction)[index], flows)


def broad_findings(policies: Iterable[NetworkPolicy], uses: Uses) -> list[Finding]:
    """A warning for each rule of a policy that selects something and is wider than the flows through it."""
    return [
        finding
        for policy in policies
        if uses.snapshot.select(policy.namespace, policy.pod_selector)
        for direction in Direction
        for finding in _of_policy(policy, direction, uses)
    ]


def _of_policy(policy: NetworkPolicy, direction: Direction, uses: Uses) -> Iterator[Finding]:
    rules = policy.rules(direction)
    for index in range(len(rules)):
        narrower, surplus = used_rule(policy, direction, index, uses).narrowed()
        if not surplus:
            continue
        place = f"spec.{direction.lower()}[{index}]"
        kept = (narrower,) if narrower else ()
        remedy = with_rules(policy, direction, rules[:index] + kept + rules[index + 1 :])
        advice = "the narrower rule is in the remedy" if narrower else "remove the rule"
        message = f"{policy.ref}: {place} {surplus}; {advice}"
        yield Finding(
            Issue.BROAD_POLICY, Severity.WARNING, policy.ref, message, remedy=(remedy,), field=place
        )


def _named(peer: Peer) -> Iterator[PolicyPeer]:
    """The narrowest peers for who is at the other end; none where the address is not known."""
    if isinstance(peer, PodsPeer) and not peer.workload.host_network:
        yield PolicyPeer(Selector.of(peer.workload.labels), namespace_named(peer.workload.namespace))
    elif isinstance(peer, AddressPeer):
        yield from (PolicyPeer(ip_block=IpBlock(cidr)) for cidr in peer.addresses.cidrs())


def _listed(ports: Iterable[PolicyPort]) -> str:
    return ", ".join(
        f"{each.protocol} {'(all)' if each.port is None else each.port}"
        + (f"-{each.end_port}" if each.end_port else "")
        for each in ports
    )
