"""Mistakes in a bundle's policies: each part of them taken away, widened, moved or misspelt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from istio_netpol.analysis.bundle_proof.default_deny import SYNC_WAVE
from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector, namespace_named
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.policy_lint.containment import opens_within
from istio_netpol.policy_lint.rule_uses import with_rules


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mistake: what is in the place of a policy; nothing where it was removed."""

    name: str
    policy: NetworkPolicy
    instead: tuple[NetworkPolicy, ...] = ()

    def applied(self, objects: Sequence[Any]) -> list[Any]:
        """The objects with the mistake."""
        kept = [resource for resource in objects if getattr(resource, "key", None) != self.policy.key]
        return [*kept, *self.instead]


def mutations(policy: NetworkPolicy) -> Iterator[Mutation]:
    """Every mistake in a policy that changes what it does."""
    yield Mutation("removed", policy)
    yield Mutation("moved to another namespace", policy, (_renamed(policy, namespace="elsewhere"),))
    for name, changed in (*_pods(policy), *_types(policy), *_rules(policy)):
        if not _are_equal(changed, policy):
            yield Mutation(name, policy, (changed,))
    if policy.annotations.get(SYNC_WAVE):
        kept = {key: value for key, value in policy.annotations.items() if key != SYNC_WAVE}
        yield Mutation("without its sync wave", policy, (replace(policy, annotations=kept),))
        yield Mutation("with a name that comes early", policy, (_renamed(policy, name="aa"),))
        early = {**policy.annotations, SYNC_WAVE: "-1"}
        yield Mutation("in an earlier sync wave", policy, (replace(policy, annotations=early),))


def copied(policy: NetworkPolicy) -> Mutation:
    """The policy twice, under two names."""
    return Mutation("copied", policy, (policy, _renamed(policy, name=f"{policy.name}-too")))


def _renamed(policy: NetworkPolicy, **names: str) -> NetworkPolicy:
    return replace(policy, ref=replace(policy.ref, **names))


def _are_equal(one: NetworkPolicy, other: NetworkPolicy) -> bool:
    """Whether both do the same in every cluster."""
    return one.does_the_same(other) or (opens_within(one, other) and opens_within(other, one))


def _pods(policy: NetworkPolicy) -> Iterator[tuple[str, NetworkPolicy]]:
    for name, selector in _selectors(policy.pod_selector):
        yield f"podSelector {name}", replace(policy, pod_selector=selector)


def _types(policy: NetworkPolicy) -> Iterator[tuple[str, NetworkPolicy]]:
    for direction in Direction:
        if direction not in policy.policy_types:
            continue
        yield f"{direction} opened", with_rules(policy, direction, (PolicyRule(),))
        if len(policy.policy_types) > 1 or policy.rules(direction):
            other = Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS
            types = policy.policy_types - {direction} or frozenset({other})
            yield f"policyTypes without {direction}", replace(policy, policy_types=types)


def _rules(policy: NetworkPolicy) -> Iterator[tuple[str, NetworkPolicy]]:
    for direction in Direction:
        rules = policy.rules(direction)
        for index, rule in enumerate(rules):
            for name, instead in _of_rule(rule):
                changed = (*rules[:index], *instead, *rules[index + 1 :])
                yield f"{direction.lower()}[{index}] {name}", with_rules(policy, direction, changed)


def _of_rule(rule: PolicyRule) -> Iterator[tuple[str, tuple[PolicyRule, ...]]]:
    yield "removed", ()
    yield "beside one that opens all", (rule, PolicyRule())
    if rule.peers:
        yield "without peers", (replace(rule, peers=()),)
    if rule.ports:
        yield "without ports", (replace(rule, ports=()),)
    for number, peer in enumerate(rule.peers):
        for name, peers in _of_peer(peer):
            changed = (*rule.peers[:number], *peers, *rule.peers[number + 1 :])
            if changed:
                yield f"peer {number} {name}", (replace(rule, peers=changed),)
    for number, port in enumerate(rule.ports):
        for name, ports in _of_port(port):
            listed = (*rule.ports[:number], *ports, *rule.ports[number + 1 :])
            if listed:
                yield f"port {number} {name}", (replace(rule, ports=listed),)


def _of_peer(peer: PolicyPeer) -> Iterator[tuple[str, tuple[PolicyPeer, ...]]]:
    yield "removed", ()
    if peer.ip_block is not None:
        yield "as the internet", (PolicyPeer(ip_block=IpBlock("0.0.0.0/0")),)
        yield "as both halves", tuple(PolicyPeer(ip_block=IpBlock(f"{at}.0.0.0/1")) for at in (0, 128))
        return
    yield "with every namespace", (replace(peer, namespace_selector=EVERYTHING),)
    yield "of another namespace", (replace(peer, namespace_selector=namespace_named("elsewhere")),)
    yield "beside every pod", (peer, PolicyPeer(namespace_selector=EVERYTHING))
    if peer.namespace_selector is not None and peer.pod_selector is not None:
        yield "of its own namespace", (replace(peer, namespace_selector=None),)
        yield "of every pod", (replace(peer, pod_selector=None),)
    if peer.namespace_selector is not None:
        for name, selector in _selectors(peer.namespace_selector):
            yield f"namespaceSelector {name}", (replace(peer, namespace_selector=selector),)
    if peer.pod_selector is not None:
        for name, selector in _selectors(peer.pod_selector):
            yield f"podSelector {name}", (replace(peer, pod_selector=selector),)


def _of_port(port: PolicyPort) -> Iterator[tuple[str, tuple[PolicyPort, ...]]]:
    yield "removed", ()
    yield "as a range", (replace(port, end_port=65535),)
    yield "as all of its protocol", (PolicyPort(port.protocol),)
    if isinstance(port.port, int):
        yield "changed", (replace(port, port=port.port + 1),)
        yield "beside another", (port, replace(port, port=port.port + 1))
    yield "of another protocol", (replace(port, protocol=Protocol.SCTP),)


def _selectors(selector: Selector) -> Iterator[tuple[str, Selector]]:
    """What somebody may write in the place of a selector."""
    yield "empty", EVERYTHING
    yield "of another label", Selector.of({"app": "another"})
    for key, value in selector.match_labels:
        others = {name: text for name, text in selector.match_labels if name != key}
        yield f"{key} misspelt", Selector.of({**others, key: f"{value}x"})
        exists = Requirement(key, Operator.EXISTS)
        yield f"{key} of any value", replace(Selector.of(others), match_expressions=(exists,))
    for requirement in selector.match_expressions:
        if requirement.operator is Operator.IN:
            exists = Requirement(requirement.key, Operator.EXISTS)
            yield f"{requirement.key} of any value", replace(selector, match_expressions=(exists,))
