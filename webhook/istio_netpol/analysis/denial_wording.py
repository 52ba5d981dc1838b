"""Sentences about denied flows. Read each aloud.

Some are about what the network plugin of the settings judges otherwise than Kubernetes documents it.
"""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.analysis.assumed_pods import is_assumed_denial
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import (
    API_SERVER,
    API_SERVER_SERVICE,
    AddressPeer,
    AnyPeer,
    Peer,
    PodsPeer,
    RequiredFlow,
)
from istio_netpol.model.own_names import CALLED_BY, CALLS
from istio_netpol.model.policies import Direction
from istio_netpol.model.services import Dialled
from istio_netpol.model.verdicts import Judged, SideVerdict
from istio_netpol.netpol.evaluate import judge
from istio_netpol.netpol.ip_blocks import is_beyond, is_unnameable
from istio_netpol.remedies.plan import DeniedFlow
from istio_netpol.remedies.policy_writer import Unmendable
from istio_netpol.state.snapshot import Snapshot


def denial(judged: Judged) -> str:
    """What is denied, by which policies, and why the flow is needed."""
    flow = judged.flow
    sides = [
        _side(judged, direction) for direction in Direction if not judged.verdict.side(direction).allowed
    ]
    return f"{flow.object}: {' and '.join(sides)}; it is needed because {flow.reason}"


def consent_missing(judged: Judged) -> str:
    """What is denied, where the denied side has not agreed to be opened, and how it can agree."""
    flow = judged.flow
    is_called = not judged.verdict.ingress.allowed and flow.agreement.ingress is None
    side, means = ("called", _CALLED) if is_called else ("calling", _CALLING)
    return (
        f"{flow.object}: {_connection(flow)} is denied, and the {side} side has not agreed to it; "
        f"let it do so with {means}, or the policies shown"
    )


_CALLED = f"the annotation {CALLED_BY}, an ALLOW AuthorizationPolicy"
_CALLING = f"the annotation {CALLS}, a Sidecar or ServiceEntry of its own that names the host"

DNS_BY_UDP = "; UDP is open, so only answers that are too long for a datagram are lost"
"""Added to a denial of DNS over TCP alone."""


_ONLY_ASSUMED = "would deny it"


def is_only_assumed(finding: Finding) -> bool:
    """Whether a finding says that its connection would be denied, if the assumed pods are like these."""
    return is_assumed_denial(finding) and f" {_ONLY_ASSUMED}, but " in finding.message


def only_assumed(judged: Judged) -> str:
    """A denial that rests on where pods are assumed to be."""
    flow, sides = judged.flow, map(judged.verdict.side, Direction)
    names = sorted({policy.key for side in sides if not side.allowed for policy in side.isolated_by})
    policies = f"NetworkPolic{'y' if len(names) == 1 else 'ies'} {', '.join(names)}"
    calls = isinstance(flow.source, PodsPeer) and flow.source.workload.ref.is_assumed
    assumed = flow.source if calls else flow.destination
    advice = "name its namespace" if calls else "describe it"
    settings = "setting mesh.gatewayNamespace" if calls else "settings mesh and dns"
    return (
        f"{flow.object}: look at {_connection(flow)}: {policies} {_ONLY_ASSUMED}, but the input does "
        f"not hold {assumed}, so its pods may have other labels or run elsewhere; add it to the input, "
        f"or {advice} by the {settings}. It is needed because {flow.reason}"
    )


NAMED_BY_SETTING = {API_SERVER: "apiServer.addresses", API_SERVER_SERVICE: "apiServer.serviceAddress"}
"""The settings that name the addresses which an input does not hold."""


def opens_to_anywhere(denied: DeniedFlow, snapshot: Snapshot) -> str:
    """A sentence for a denial whose remedy opens more than the flow needs, because the API server's address
    is not known or no peer can name it; empty for other remedies."""
    flow = denied.judged.flow
    if _reaches_no_node(snapshot, flow.destination):
        opened = [
            part for part in denied.parts if part.draft.direction is Direction.EGRESS and not part.peers
        ]
        wide = f"so the policy opens {flow.protocol} {flow.port} to every address; " if opened else ""
        return f"; {wide}{WAYS_TO_NODES}"
    setting = NAMED_BY_SETTING.get(flow.destination) if isinstance(flow.destination, AnyPeer) else None
    if setting is None or not denied.parts:
        return ""
    return (
        f"; the address of {flow.destination} is not known, so the policy opens {flow.protocol} {flow.port} "
        f"to every address: name it with the setting {setting}"
    )


def relies_on_ip_block(judged: Judged) -> str:
    """An allowed flow that only an ipBlock allows."""
    rules = [
        str(rule)
        for direction in Direction
        if judged.verdict.side(direction).by_ip_block
        for rule in judged.verdict.side(direction).allowed_by
    ]
    by = ", ".join(sorted(set(rules)))
    return (
        f"{judged.flow.object}: {_connection(judged.flow)} is allowed by an ipBlock only ({by}); "
        "not every network plugin applies ipBlocks to pods, so name the pods by their labels"
    )


def undecided(judged: Judged) -> str:
    """The message about a flow for which the verdict is open: rules of a tier depend on facts that the input
    lacks, or policies that are not read may allow it."""
    if others := judged.verdict.egress.perhaps_opened_by:
        named = ", ".join(policy.title for policy in others)
        return (
            f"{judged.flow.object}: it can't be told whether {_connection(judged.flow)} is allowed: no "
            f"NetworkPolicy allows it, and {named}, which may, is not read"
        )
    rules = [str(rule) for direction in Direction for rule in judged.verdict.side(direction).undecided]
    return (
        f"{judged.flow.object}: it can't be told whether {_connection(judged.flow)} is allowed: "
        f"{', '.join(dict.fromkeys(rules))} depends on addresses, Nodes or hosts that are not in the input, "
        "or contradicts a policy of the same priority"
    )


def unmendable(reasons: Iterable[Unmendable]) -> str:
    """Why no policy is shown for a side; empty where there is no such side."""
    sentences = sorted(
        {
            f"; no policy can allow its {reason.opening.direction.lower()}: {reason.because}"
            for reason in reasons
        }
    )
    return "".join(sentences)


def _side(judged: Judged, direction: Direction) -> str:
    flow = judged.flow
    ends = (
        f"to {flow.destination}"
        if direction is Direction.EGRESS
        else f"to {flow.destination} from {flow.source}"
    )
    side = judged.verdict.side(direction)
    denied = f"{direction.lower()} {ends} ({flow.protocol} {flow.port}) is denied"
    if side.denied_by:
        return f"{denied} by {' and '.join(map(str, side.denied_by))}"
    names = sorted(policy.key for policy in side.isolated_by)
    if len(names) == 1:
        return f"{denied} by NetworkPolicy {names[0]}"
    # Most of them are there to allow something: it is their sum that denies.
    return f"{denied}, since none of NetworkPolicies {', '.join(names)} allows it"


def _connection(flow: RequiredFlow) -> str:
    return f"the connection from {flow.source} to {flow.destination} ({flow.protocol} {flow.port})"


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
    """Why a side is judged as it is, where the network plugin decides that; empty otherwise."""
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


def _reaches_no_node(snapshot: Snapshot, peer: Peer) -> bool:
    """Whether a peer is a node, or an address that may be one, and no ipBlock matches nodes."""
    return not snapshot.network.model.ip_blocks_match_nodes and is_unnameable(peer, snapshot)
