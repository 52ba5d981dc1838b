"""Whether one selector, peer or rule allows no more than others, by what is written in them.

The answer holds for every cluster, also for pods that are yet to come. Where what is written does not tell,
it is no.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from istio_netpol.model.connections import ALL_CONNECTIONS, NO_CONNECTIONS, ConnectionSet
from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector, namespace_named
from istio_netpol.model.policies import NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule

MOST_PAIRS = 10_000
"""Pairs of peers of two rules that are compared; larger rules are not said to cover each other."""


class _LabelValues(Struct):
    """What a selector says of one label: which values it may have, and whether it is there."""

    allowed: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    present: bool = False
    absent: bool = False

    def add(self, requirement: Requirement) -> None:
        match requirement.operator:
            case Operator.IN:
                known = self.allowed
                self.allowed = requirement.values if known is None else known & requirement.values
                self.present = True
            case Operator.NOT_IN:
                self.excluded |= requirement.values
            case Operator.EXISTS:
                self.present = True
            case Operator.DOES_NOT_EXIST:
                self.absent = True

    def meets(self, requirement: Requirement) -> bool:
        """Whether the requirement holds for each label that is meant here."""
        left = self.allowed - self.excluded if self.allowed is not None else None
        match requirement.operator:
            case Operator.IN:
                return left is not None and left <= requirement.values
            case Operator.NOT_IN:
                is_other = left is not None and left.isdisjoint(requirement.values)
                return self.absent or is_other or requirement.values <= self.excluded
            case Operator.EXISTS:
                return self.present
            case Operator.DOES_NOT_EXIST:
                return self.absent


def selects_within(narrow: Selector, wide: Selector) -> bool:
    """Whether all labels that `narrow` matches are matched by `wide`."""
    if wide.is_everything or narrow == wide:
        return True
    values: dict[str, _LabelValues] = {}
    for requirement in _requirements(narrow):
        values.setdefault(requirement.key, _LabelValues()).add(requirement)
    return all(
        requirement.key in values and values[requirement.key].meets(requirement)
        for requirement in _requirements(wide)
    )


def _requirements(selector: Selector) -> Iterable[Requirement]:
    for key, value in selector.match_labels:
        yield Requirement(key, Operator.IN, frozenset({value}))
    yield from selector.match_expressions


def peer_within(narrow: PolicyPeer, wide: PolicyPeer, namespace: str) -> bool:
    """Whether `narrow` names no more than `wide` in a policy of this namespace."""
    if narrow.ip_block is not None:
        return wide.ip_block is not None and narrow.ip_block.addresses <= wide.ip_block.addresses
    if wide.ip_block is not None:
        return False
    return _namespaces_within(narrow, wide, namespace) and selects_within(
        narrow.pod_selector or EVERYTHING, wide.pod_selector or EVERYTHING
    )


def _namespaces_within(narrow: PolicyPeer, wide: PolicyPeer, namespace: str) -> bool:
    """A peer without a namespaceSelector means the policy's own namespace."""
    own = namespace_named(namespace)
    if wide.namespace_selector is None:
        return narrow.namespace_selector is None or selects_within(narrow.namespace_selector, own)
    return selects_within(narrow.namespace_selector or own, wide.namespace_selector)


def rule_within(rule: PolicyRule, others: Sequence[PolicyRule], namespace: str) -> bool:
    """Whether other rules of policies of the same namespace, together, allow all that a rule allows."""
    if not rule.peers:
        return _ports_within(rule.ports, [other for other in others if not other.peers])
    if rule.addresses and not _ports_within(rule.ports, _covering_addresses(rule, others)):
        return False
    return all(
        _ports_within(rule.ports, [other for other in others if _names(other, peer, rule, namespace)])
        for peer in rule.selectors
    )


def _covering_addresses(rule: PolicyRule, others: Iterable[PolicyRule]) -> list[PolicyRule]:
    return [other for other in others if not other.peers or rule.addresses <= other.addresses]


def _names(other: PolicyRule, peer: PolicyPeer, rule: PolicyRule, namespace: str) -> bool:
    """Whether a rule names a peer of another one."""
    if not other.peers:
        return True
    if len(rule.selectors) * len(other.selectors) > MOST_PAIRS:
        return False
    return any(peer_within(peer, wide, namespace) for wide in other.selectors)


def _ports_within(ports: tuple[PolicyPort, ...], others: Iterable[PolicyRule]) -> bool:
    """Whether the ports of other rules together are all of these; no ports are all ports."""
    found: set[PolicyPort] = set()
    for other in others:
        if not other.ports:
            return True
        found.update(other.ports)
    numbers = ConnectionSet.union(map(_numbers, found))
    if not ports:
        return numbers >= ALL_CONNECTIONS
    return all(port in found or ((port_set := _numbers(port)) and port_set <= numbers) for port in ports)


def _numbers(port: PolicyPort) -> ConnectionSet:
    """The numbers that a port opens; none for a name, which each pod may give another number."""
    if isinstance(port.port, str):
        return NO_CONNECTIONS
    return ConnectionSet.of(port.protocol, port.port, port.end_port)


def opens_within(narrow: NetworkPolicy, wide: NetworkPolicy) -> bool:
    """Whether a policy opens nothing that another one of the same namespace, which isolates the same, does
    not open."""
    return (
        narrow.policy_types == wide.policy_types
        and selects_within(narrow.pod_selector, wide.pod_selector)
        and all(
            rule_within(rule, wide.rules(direction), wide.namespace)
            for direction in narrow.policy_types
            for rule in narrow.rules(direction)
        )
    )
