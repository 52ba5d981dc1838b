"""Peers outside the cluster that policies or required flows name, and which ports are open to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.addresses import ALL_IPV4, AddressSet, IpBlock
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, Peer, PodsPeer
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.netpol.address_line import Stretches, bounds
from istio_netpol.netpol.port_sets import EVERY_PORT, NOTHING, PortSets
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.special_addresses import SPECIAL

MOST_BLOCKS = 60
"""ipBlocks that become peers of their own. What the others open is not lost: it stands in the policies."""


class OutsideKind(StrEnum):
    """What a peer outside is: known by addresses, by a host name, by a description alone, or pods that are
    assumed where the input lacks them."""

    ADDRESSES = "addresses"
    HOST = "host"
    OTHERS = "others"
    ASSUMED = "assumed"


class OutsidePeer(Struct, frozen=True):
    """One peer; `addresses` are there for the first kind only."""

    kind: OutsideKind
    name: str
    addresses: AddressSet | None = None


INTERNET = OutsidePeer(OutsideKind.ADDRESSES, "internet", ALL_IPV4 - SPECIAL)
"""Every public IPv4 address: who may come from there may be anybody."""


def outside_peer(peer: Peer, kind: FlowKind) -> OutsidePeer:
    """The peer outside that an end of a flow means; of pods, those that are in no input."""
    match peer:
        case PodsPeer(workload=workload):
            return OutsidePeer(OutsideKind.ASSUMED, f"{workload.namespace}/{workload.name}")
        case AddressPeer(host=host, addresses=addresses):
            if host:
                return OutsidePeer(OutsideKind.HOST, host)
            role = "API server " if kind is FlowKind.TO_APISERVER else ""
            return OutsidePeer(OutsideKind.ADDRESSES, role + _in_short(addresses), addresses)
        case HostPeer(host=host):
            return OutsidePeer(OutsideKind.HOST, host)
        case AnyPeer(description=description, in_cluster=in_cluster):
            is_anybody = description == AnyPeer().description and not in_cluster
            return INTERNET if is_anybody else OutsidePeer(OutsideKind.OTHERS, description)


def _in_short(addresses: AddressSet) -> str:
    first, *others = (text.removesuffix("/32").removesuffix("/128") for text in addresses.cidrs())
    return f"{first} and {len(others)} more" if len(others) > 1 else ", ".join((first, *others))


def named_blocks(snapshots: Iterable[Snapshot]) -> tuple[OutsidePeer, ...]:
    """The ipBlocks that become peers, in the order of their text. Namespaces take turns, each with what most
    of its rules name, so that a namespace with very many drives out nobody else's."""
    by_home: dict[str, Counter[IpBlock]] = {}
    for home, block in (named for snapshot in snapshots for named in _blocks(snapshot)):
        by_home.setdefault(home, Counter())[block] += 1
    uses: Counter[IpBlock] = sum(by_home.values(), Counter())
    turns: dict[IpBlock, int] = {}
    for own in by_home.values():
        for turn, block in enumerate(sorted(own, key=lambda block: (-own[block], *_text(block)))):
            turns[block] = min(turn, turns.get(block, turn))
    found = sorted(turns, key=lambda block: (turns[block], -uses[block], *_text(block)))[:MOST_BLOCKS]
    return tuple(
        OutsidePeer(OutsideKind.ADDRESSES, _name(block), block.addresses)
        for block in sorted(found, key=lambda block: (":" in block.cidr, *_text(block)))
    )


def _text(block: IpBlock) -> tuple[str, tuple[str, ...]]:
    return block.cidr, tuple(block.exceptions)


def _blocks(snapshot: Snapshot) -> Iterator[tuple[str, IpBlock]]:
    """Each ipBlock of a rule with the namespace of its policy."""
    for policy in snapshot.every(NetworkPolicy):
        for rule in (*policy.ingress, *policy.egress):
            blocks = (peer.ip_block for peer in rule.peers)
            yield from ((policy.namespace, block) for block in blocks if block is not None)


def _name(block: IpBlock) -> str:
    if not block.exceptions:
        return block.cidr
    if len(block.exceptions) == 1:
        return f"{block.cidr} except {block.exceptions[0]}"
    return f"{block.cidr} except {len(block.exceptions)} ranges"


def ports_at_all(addresses: AddressSet, line: Stretches, sets: PortSets) -> int:
    """The number of the ports that are open at every one of the addresses."""
    common, stretches = EVERY_PORT, iter(line)
    start, end, ports = next(stretches, (0, -1, NOTHING))
    for low, high in bounds(addresses):
        reached = low
        while reached <= high:
            while end < reached:
                following = next(stretches, None)
                if following is None:
                    return NOTHING
                start, end, ports = following
            if start > reached:
                return NOTHING
            common = sets.intersection(common, ports)
            reached = end + 1
    return common if addresses else NOTHING
