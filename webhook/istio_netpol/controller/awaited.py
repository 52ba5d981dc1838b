"""The openings of policies that are needed and not stored yet. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule

_PortSet = frozenset[PolicyPort]
"""An empty set means all ports."""


class Awaited:
    """The openings of some policies, by the pods that they select. A look-up takes as many steps as a policy
    has peers, since thousands of policies may come and go at once."""

    def __init__(self, policies: Iterable[NetworkPolicy]) -> None:
        self._all: defaultdict[Hashable, set[_PortSet]] = defaultdict(set)
        self._by_peer: defaultdict[Hashable, set[_PortSet]] = defaultdict(set)
        self._addresses: defaultdict[Hashable, list[tuple[AddressSet, _PortSet]]] = defaultdict(list)
        for policy in policies:
            for direction in policy.policy_types:
                for rule in policy.rules(direction):
                    self._add(_pods(policy, direction), rule)

    def _add(self, pods: Hashable, rule: PolicyRule) -> None:
        ports = frozenset(rule.ports)
        self._all[pods].add(ports)
        for peer in rule.peers or (None,):
            self._by_peer[pods, peer].add(ports)
        if rule.addresses:
            self._addresses[pods].append((rule.addresses, ports))

    def meets(self, policy: NetworkPolicy) -> bool:
        """Whether one of them opens something that this policy opens too."""
        return any(
            self._meets(_pods(policy, direction), rule)
            for direction in policy.policy_types
            for rule in policy.rules(direction)
        )

    def _meets(self, pods: Hashable, rule: PolicyRule) -> bool:
        if pods not in self._all:
            return False
        ports = frozenset(rule.ports)
        peers: tuple[PolicyPeer | None, ...] = (*rule.peers, None)
        return (
            (not rule.peers and _have_common(ports, self._all[pods]))
            or any(_have_common(ports, self._by_peer.get((pods, peer), ())) for peer in peers)
            or any(
                _have_common(ports, (some,)) and addresses & rule.addresses
                for addresses, some in self._addresses.get(pods, ())
            )
        )


def _pods(policy: NetworkPolicy, direction: Direction) -> Hashable:
    return (policy.namespace, policy.pod_selector, direction)


def _have_common(ports: _PortSet, others: Iterable[_PortSet]) -> bool:
    return any(not ports or not some or not ports.isdisjoint(some) for some in others)
