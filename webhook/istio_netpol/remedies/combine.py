"""Which openings share a rule, and which policies have to be one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from ipaddress import ip_network

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import Selector
from istio_netpol.model.own_names import FLOW_LABEL, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.remedies.names import digest_of, policy_name, subject_of
from istio_netpol.remedies.required_by import needers_of

Port = tuple[Protocol, int]
PeerNeeds = Mapping[PolicyPeer | None, Mapping[Port, FlowKind]]
"""The ports at which pods must be opened for each peer, and why; the peer None is everybody."""

MOST_PEERS = 200
"""Peers of one policy. With labels as people write them it stays below 64 KiB: small enough to be read, and
for network plugins, which compile a policy anew when a pod of its peers comes or goes."""

MOST_PORTS = 500
"""Ports of one policy, for the same reason."""

MOST_LABEL_CHARACTERS = 131_072
"""Characters in the selectors of one policy's peers. Pods may have thousands of labels: who names them
must not get a policy that is too large to be stored, least of all one that names others too."""


class JoinedRule(Struct, frozen=True):
    """Ports that are opened for several peers alike; no peers: for everybody."""

    kind: FlowKind
    peers: tuple[PolicyPeer, ...]
    ports: tuple[Port, ...]


def rules_of(needs: PeerNeeds) -> Iterator[JoinedRule]:
    """The fewest rules that open exactly this: all ports of a peer together, peers with the same ports
    together, no peer and port twice."""
    alike: dict[tuple[FlowKind, frozenset[Port]], list[PolicyPeer | None]] = {}
    for peer, ports in needs.items():
        for kind in set(ports.values()):
            own = frozenset(port for port, needed_for in ports.items() if needed_for is kind)
            alike.setdefault((kind, own), []).append(peer)
    for (kind, together), peers in alike.items():
        for some_ports in _in_parts(sorted(together) if len(together) > 1 else tuple(together)):
            if None in peers:
                yield JoinedRule(kind, (), some_ports)
            named = [peer for peer in peers if peer is not None]
            yield from (JoinedRule(kind, some_peers, some_ports) for some_peers in _peers_in_parts(named))


def _in_parts(ports: Sequence[Port]) -> Iterator[tuple[Port, ...]]:
    for start in range(0, len(ports), MOST_PORTS):
        yield tuple(ports[start : start + MOST_PORTS])


def _peers_in_parts(peers: list[PolicyPeer]) -> Iterator[tuple[PolicyPeer, ...]]:
    """The peers in their order, as many together as one policy holds."""
    if len(peers) == 1:
        yield tuple(peers)
        return
    part: list[PolicyPeer] = []
    characters = 0
    for peer in sorted(peers, key=_order):
        size = _characters(peer)
        if part and (len(part) == MOST_PEERS or characters + size > MOST_LABEL_CHARACTERS):
            yield tuple(part)
            part, characters = [], 0
        part.append(peer)
        characters += size
    if part:
        yield tuple(part)


def _characters(peer: PolicyPeer) -> int:
    return sum(
        len(text)
        for selector in (peer.namespace_selector, peer.pod_selector)
        if selector is not None
        for text in _texts(selector)
    )


def _order(peer: PolicyPeer) -> tuple[object, ...]:
    """Pods by their namespace and labels, then addresses by number."""
    if peer.ip_block is not None:
        network = ip_network(peer.ip_block.cidr, strict=False)
        return (1, network.version, int(network.network_address), network.prefixlen, peer.ip_block.exceptions)
    return (
        0,
        *(_texts(selector) if selector else () for selector in (peer.namespace_selector, peer.pod_selector)),
    )


def _texts(selector: Selector) -> tuple[str, ...]:
    labels = (text for label in selector.match_labels for text in label)
    expressions = (
        text
        for expression in selector.match_expressions
        for text in (expression.key, expression.operator, *sorted(expression.values))
    )
    return (*labels, *expressions)


def joined(policies: Iterable[NetworkPolicy]) -> tuple[NetworkPolicy, ...]:
    """One policy for all policies that select the same pods for the same direction, sorted.

    The first policy that selects pods isolates them from all that it does not allow. Where nothing isolated
    them before, it must therefore allow at once all that they need: applied one by one, the policies of
    several flows would each cut the others, for as long as the rest is missing.
    """
    groups: dict[object, list[NetworkPolicy]] = {}
    for policy in sorted(policies, key=lambda policy: (policy.namespace, policy.name)):
        groups.setdefault((policy.namespace, policy.pod_selector, policy.policy_types), []).append(policy)
    found = [group[0] if len(group) == 1 else _one(group) for group in groups.values()]
    return tuple(sorted(found, key=lambda policy: (policy.namespace, policy.name)))


def _one(group: Sequence[NetworkPolicy]) -> NetworkPolicy:
    first = group[0]
    directions = "-".join(sorted(str(direction).lower() for direction in first.policy_types))
    needers = reduce(lambda some, more: some | more, map(needers_of, group))
    policy = replace(
        first,
        ingress=_rules(policy.ingress for policy in group),
        egress=_rules(policy.egress for policy in group),
        annotations={REQUIRED_BY: needers.text},
    )
    subject = subject_of(first.name, first.labels[FLOW_LABEL])
    name = policy_name(directions, subject, digest_of(policy))
    return replace(policy, ref=replace(first.ref, name=name))


def _rules(parts: Iterable[tuple[PolicyRule, ...]]) -> tuple[PolicyRule, ...]:
    return tuple(dict.fromkeys(rule for part in parts for rule in part))
