"""What one rule opens without bounds: peers, addresses or ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.istio.hbone import HBONE_PORT
from istio_netpol.istio.rules.hbone import PROBE_SOURCES
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.flows import AddressPeer, AnyPeer, HostPeer, Peer
from istio_netpol.model.labels import KYMA_OPT_IN_PREFIX, NAMESPACE_NAME_LABEL, Operator, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.verdicts import Judged
from istio_netpol.netpol.ip_blocks import is_unnameable
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.trust.special_addresses import METADATA

DNS_PORTS = frozenset({53, 1053, 5353, 8053})

MOST_PORTS = 2**15
"""Ports of one protocol from which on a range counts as all: ephemeral and node ports are fewer."""

_IPV4_HALF, _IPV6_HALF = 2**31, 2**124
"""Half of all IPv4 addresses, and half of the IPv6 addresses that IANA hands out (`2000::/3`)."""

PRIVATE_RANGES = tuple(
    (cidr, AddressSet.of(cidr))
    for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fd00::/8")
)
"""Private ranges as a whole (RFC 1918, RFC 6598, RFC 4193), with a cluster's pods, nodes and Services."""


_PROBES = AddressSet.union(peer.addresses for peer in PROBE_SOURCES.values())


class Breadth(Struct, frozen=True):
    """What a rule opens without bounds, as clauses that complete "the rule opens …"; empty where it has
    bounds. `is_bounded`: it is a private range, on the ports that the rule lists."""

    peers: str = ""
    ports: str = ""
    is_bounded: bool = False

    def __bool__(self) -> bool:
        return bool(self.peers or self.ports)


def breadth_of(policy: NetworkPolicy, direction: Direction, index: int, uses: RuleUses) -> Breadth:
    """What a rule opens without bounds and no flow needs that way."""
    rule, flows = policy.rules(direction)[index], uses.of(policy, direction, index)
    if _is_harmless(direction, rule):
        return Breadth()
    others = [far_end(judged, direction) for judged in flows]
    is_any_port = any(isinstance(peer, AnyPeer) and peer.any_port for peer in others)
    ports = "" if is_any_port else _ports(rule)
    is_shared = direction is Direction.INGRESS and any(judged.flow.shared for judged in flows)
    is_for_all = is_shared or any(isinstance(peer, AnyPeer | HostPeer) for peer in others)
    # What no ipBlock matches is opened by its port alone.
    is_for_all |= not rule.peers and any(is_unnameable(peer, uses.snapshot) for peer in others)
    if is_for_all or (not ports and uses.are_for_anybody(policy, direction)):
        return Breadth("", ports)
    is_read = bool(uses.snapshot.select(policy.namespace, policy.pod_selector))
    if not ports and not is_read and direction is Direction.INGRESS:
        # Pods that were not read may be a gateway's, or istiod's.
        return Breadth()
    needed = AddressSet.union(peer.addresses for peer in others if isinstance(peer, AddressPeer))
    peers = _peers(rule, needed)
    private = "" if peers else _private_range(rule, needed)
    if private and not ports and (flows or not is_read):
        # On listed ports a range may be all that is known of where an API server or a database is.
        private = ""
    return Breadth(peers or private, ports, is_bounded=bool(private) and not ports)


def _is_harmless(direction: Direction, rule: PolicyRule) -> bool:
    """What published policies open to everybody, and rightly: DNS; the tunnel of ambient mode, which takes
    authenticated peers alone; and the kubelet's probes of ambient pods."""
    if rule.ports and all(port.port == HBONE_PORT and port.end_port is None for port in rule.ports):
        return True
    if direction is Direction.EGRESS:
        return bool(rule.ports) and all(map(is_dns, rule.ports))
    return bool(rule.peers) and not rule.selectors and rule.addresses <= _PROBES


def far_end(judged: Judged, direction: Direction) -> Peer:
    """Who is at the other end of a flow through a rule of this direction."""
    return judged.flow.source if direction is Direction.INGRESS else judged.flow.destination


def _peers(rule: PolicyRule, needed: AddressSet) -> str:
    if not rule.peers:
        return "every peer"
    if any(_is_any_namespace(peer) for peer in rule.selectors):
        return "every pod of every namespace"
    addresses = rule.addresses
    if not addresses or addresses <= needed:
        return ""
    blocks = ", ".join(_blocks(rule))
    if _is_internet(addresses):
        return f"{blocks}, the internet and what of the cluster is in it"
    if addresses & METADATA:
        return f"{blocks}, where clouds give out the credentials of the node"
    return ""


def _private_range(rule: PolicyRule, needed: AddressSet) -> str:
    for cidr, private in PRIVATE_RANGES:
        if private <= rule.addresses and not private <= needed:
            whole = ", ".join(_blocks(rule))
            part = f", with {cidr}" if whole != cidr else ""
            return f"{whole}{part}, a private range as a whole: nodes, Services and pods may be in it"
    return ""


def _blocks(rule: PolicyRule) -> Iterator[str]:
    """The ipBlocks as they are written, the first few."""
    written = [peer.ip_block.cidr for peer in rule.peers if peer.ip_block is not None]
    yield from written[:3]
    if len(written) > 3:
        yield f"{len(written) - 3} more"


def _is_any_namespace(peer: PolicyPeer) -> bool:
    is_any_pod = peer.pod_selector is None or peer.pod_selector.is_everything
    return is_any_pod and peer.namespace_selector is not None and is_everywhere(peer.namespace_selector)


def is_everywhere(selector: Selector) -> bool:
    """Whether it selects every namespace; each has a label with its name."""
    return not selector.match_labels and all(
        requirement.operator is Operator.EXISTS and requirement.key == NAMESPACE_NAME_LABEL
        for requirement in selector.match_expressions
    )


def _is_internet(addresses: AddressSet) -> bool:
    return _size(addresses.ipv4) >= _IPV4_HALF or _size(addresses.ipv6) >= _IPV6_HALF


def _size(intervals: Iterable[tuple[int, int]]) -> int:
    return sum(high - low + 1 for low, high in intervals)


def opens_everything(rule: PolicyRule) -> bool:
    """Whether a rule opens every port, of one protocol at least, to every peer, to every pod or to the
    internet."""
    are_all = not rule.ports or any(map(is_all_ports, rule.ports))
    is_anybody = not rule.peers or any(map(_is_any_namespace, rule.selectors)) or _is_internet(rule.addresses)
    return are_all and is_anybody


def _ports(rule: PolicyRule) -> str:
    if any(has_opted_in(peer) for peer in rule.peers):
        return ""
    if not rule.ports:
        return "every port"
    wide = [port for port in rule.ports if is_all_ports(port)]
    return f"every port of {wide[0].protocol}" if wide else ""


def is_all_ports(port: PolicyPort) -> bool:
    """Whether a port stands for all, or most, of its protocol."""
    if port.port is None:
        return True
    return isinstance(port.port, int) and (port.end_port or port.port) - port.port >= MOST_PORTS


def is_dns(port: PolicyPort) -> bool:
    """Whether a port is one of those that DNS servers listen on, alone."""
    return port.port in DNS_PORTS and port.end_port is None


def has_opted_in(peer: PolicyPeer) -> bool:
    """Whether the peer's pods agreed by a label of their own; how many there are is then theirs to say."""
    labels = peer.pod_selector.match_labels if peer.pod_selector else ()
    return any(key.startswith(KYMA_OPT_IN_PREFIX) and value == "allowed" for key, value in labels)
