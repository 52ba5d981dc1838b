"""Sentences about connections that the network plugin of the settings judges otherwise than the
documentation of Kubernetes."""

from __future__ import annotations

from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.services import Dialled
from istio_netpol.model.verdicts import SideVerdict
from istio_netpol.netpol.evaluate import judge
from istio_netpol.netpol.ip_blocks import is_beyond, is_unnameable
from istio_netpol.state.snapshot import Snapshot

WAYS_TO_NODES = (
    "an ipBlock that names nodes takes `policy-cidr-match-mode: nodes` in Cilium's configuration (then set "
    "network.ipBlocksMatchNodes); a CiliumNetworkPolicy with toEntities [kube-apiserver] names the API "
    "server; otherwise only a rule without peers, for the port alone, admits it"
)
"""What reaches an address of a node with Cilium, the narrowest first (cilium/cilium
Documentation/security/policy/layer3.rst, 1.19). A rule without peers becomes entity `all` there
(cilium/cilium@0a0f0d9 pkg/k8s/network_policy.go, ParseNetworkPolicy, and pkg/policy/api/entity.go)."""


def as_plugin_sees(
    snapshot: Snapshot,
    ends: tuple[Peer, Peer],
    port: tuple[Protocol, int],
    direction: Direction,
    side: SideVerdict,
) -> str:
    """Why a side is judged as it is, where the network plugin decides that; else empty."""
    network = snapshot.network
    if side.dialled is not None:
        return f"judged as {network.name}: {_at_fronts(side.dialled, side.closed)}"
    if not _decides(snapshot, ends, port, direction, side):
        return ""
    peer = ends[1] if direction is Direction.EGRESS else ends[0]
    if is_beyond(peer, snapshot):
        return f"judged as {network.name}: no ipBlock matches {_what(peer)}"
    return (
        f"judged as {network.name}: an except range denies for every rule of {_subject(ends, direction)}, "
        "those of other policies and those without peers too"
    )


def _decides(
    snapshot: Snapshot,
    ends: tuple[Peer, Peer],
    port: tuple[Protocol, int],
    direction: Direction,
    side: SideVerdict,
) -> bool:
    """Whether the side is denied, and would not be as the documentation has it."""
    network = snapshot.network
    if side.allowed or not (network.tells_addresses_apart or network.judges_before):
        return False
    return judge(snapshot.as_documented, *ends, *port).side(direction).allowed


def _at_fronts(dialled: Dialled, closed: Dialled | None) -> str:
    places = ", ".join(map(str, dialled.fronts)) + (" and the pods" if dialled.at_own_address else "")
    if closed is None:
        return f"policies see what is dialled, {places}"
    refused = [*map(str, closed.fronts), *(("the pods",) if closed.at_own_address else ())]
    return f"policies see what is dialled, and no rule admits {' nor '.join(refused)}"


def _what(peer: Peer) -> str:
    if isinstance(peer, PodsPeer) and not peer.workload.host_network:
        return "pods"
    return "the cluster's own addresses" if isinstance(peer, AddressPeer) else "nodes"


def _subject(ends: tuple[Peer, Peer], direction: Direction) -> str:
    return str(ends[0] if direction is Direction.EGRESS else ends[1])


def reaches_no_node(snapshot: Snapshot, peer: Peer) -> bool:
    """Whether a peer is a node, or an address that may be one, and no ipBlock matches nodes."""
    return not snapshot.network.model.ip_blocks_match_nodes and is_unnameable(peer, snapshot)
