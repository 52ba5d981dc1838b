"""From openings to NetworkPolicies: for what one object needs of the same pods, one policy for each set of
peers, with all ports at which these are alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.flows.cache import NamespaceAnswers
from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.failures import NOT_CONTAINED, Failure
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, PodsPeer
from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.own_names import FLOW_LABEL, MANAGED_BY, OPENS_TO, OWNER, REQUIRED_BY
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.ip_blocks import is_beyond
from istio_netpol.remedies.combine import Port, rules_of
from istio_netpol.remedies.denied_sides import Opening
from istio_netpol.remedies.drafts import ContentUses, Draft, DraftPart, PolicyContent, without_needless
from istio_netpol.remedies.names import digest_of, policy_name
from istio_netpol.remedies.plugin_peers import PeersAtPort, at_front, beyond_ip_blocks
from istio_netpol.remedies.pod_selector import newly_isolated, selector_of
from istio_netpol.remedies.required_by import Needers, name_of
from istio_netpol.remedies.unnamed_peers import unnamed_peers
from istio_netpol.state.snapshot import Snapshot

PER_NAMESPACE_KINDS = frozenset({FlowKind.PROXY_TO_ISTIOD, FlowKind.DNS})
"""Flows that pods of one namespace need alike, for `--per-namespace`."""

Blocks = Callable[[AddressSet], AddressSet]
"""Merges the addresses of a host into as few blocks as the settings allow."""


_Places = dict[tuple[int, PolicyPeer | None], list[tuple[frozenset[Port], NetworkPolicy | Exception]]]
"""The policies that open something to a peer, by the draft that asks for it, with their ports."""


class Unmendable(Struct, frozen=True):
    """A side that no policy can open, and why: a clause that completes "… can't be allowed, because"."""

    opening: Opening
    because: str


class PolicyWriter:
    """Collects openings of one snapshot and writes the policies for them; `known` holds what earlier writers
    worked out.

    Openings are joined within what one object needs: its policies then live and change with it, and never
    with what somebody else writes. Objects that need the very same share a policy.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        blocks: Blocks,
        per_namespace: bool = False,
        known: NamespaceAnswers | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._blocks = blocks
        self._per_namespace = per_namespace
        self._known = known or NamespaceAnswers()
        self._drafts: dict[Hashable, Draft] = {}
        self._places: _Places | None = None
        self._port_alone: set[Port] = set()
        self.failed: set[str] = set()
        """The objects, as `required-by` names them, for which an error of our own left a policy unwritten."""

    def add(self, opening: Opening) -> DraftPart | Unmendable:
        """Takes up one opening: a part of the policies that will open it once all were added, or why none
        can. An error in that is contained to the opening."""
        try:
            return self._add(opening)
        except NOT_CONTAINED:
            raise
        except Exception as error:
            self.failed.add(name_of(opening.flow.object))
            return Unmendable(opening, str(Failure.of("policy writer", error)))

    def _add(self, opening: Opening) -> DraftPart | Unmendable:
        named = self._named(opening)
        subject = self._subject(opening)
        if isinstance(named, str) or isinstance(subject, str):
            return Unmendable(opening, named if isinstance(named, str) else str(subject))
        peers, number = named
        flow, workload = opening.flow, opening.subject
        needer = _needer(opening)
        # What all pods of a namespace need, each of its objects needs: there, one policy names them all.
        together: Hashable = peers if subject.is_everything else needer
        identity = (opening.direction, workload.namespace, subject, together)
        draft = self._drafts.get(identity)
        name = "all" if subject.is_everything else workload.name
        if draft is None:
            draft = Draft(opening.direction, workload.namespace, subject, name, set())
            self._drafts[identity] = draft
        draft.needers.add(needer)
        draft.subject = min(draft.subject, name)
        port = (flow.protocol, number)
        draft.add(peers, port, flow.kind)
        self._places = None
        return DraftPart(draft, peers, port)

    def policies(self) -> tuple[NetworkPolicy, ...]:
        """The policies, sorted by namespace and name; none that one for all pods of its namespace makes
        needless."""
        contents = self._contents(without_needless(self._drafts.values()))
        found = [self._contained(content, uses) for content, uses in contents.items()]
        return _sorted(policy for policy in found if isinstance(policy, NetworkPolicy))

    def remedies(self, parts: Iterable[DraftPart]) -> tuple[NetworkPolicy, ...]:
        """Those of the policies that open these parts, sorted, as they are once all openings were added.
        Raises the error that left one of them unwritten."""
        if self._places is None:
            self._places = self._placed()
        found: set[NetworkPolicy] = set()
        for part in parts:
            for peer in part.peers or (None,):
                for ports, policy in self._places[id(part.draft), peer]:
                    if part.port in ports:
                        found.add(_intact(policy))
        return _sorted(found)

    def _placed(self) -> _Places:
        contents = self._contents(self._drafts.values())
        found: _Places = {}
        for content, uses in contents.items():
            place = (frozenset(content.ports), self._contained(content, uses))
            for draft in uses.drafts:
                for peer in content.peers or (None,):
                    found.setdefault((draft, peer), []).append(place)
        return found

    def _contents(self, drafts: Iterable[Draft]) -> dict[PolicyContent, ContentUses]:
        """What the policies of these drafts do, and for whom."""
        found: dict[PolicyContent, ContentUses] = {}
        for draft in drafts:
            try:
                rules = list(rules_of(draft.needs))
            except NOT_CONTAINED:
                raise
            except Exception:
                self.failed |= draft.needers
                continue
            for rule in rules:
                subject = (draft.direction, draft.namespace, draft.selector)
                found.setdefault(PolicyContent(*subject, rule.peers, rule.ports), ContentUses()).add(
                    draft, rule.kind
                )
        return found

    def _contained(self, content: PolicyContent, uses: ContentUses) -> NetworkPolicy | Exception:
        """The policy, or the error of our own that left it unwritten."""
        try:
            return self._written(content, uses)
        except NOT_CONTAINED:
            raise
        except Exception as error:
            self.failed |= uses.needers
            return error

    def _written(self, content: PolicyContent, uses: ContentUses) -> NetworkPolicy:
        kind, subject, needers = min(uses.kinds), min(uses.subjects), frozenset(uses.needers)
        is_alone = not self._port_alone.isdisjoint(content.ports)
        because = f"with {self._snapshot.network.name} no ipBlock matches nodes" if is_alone else ""
        question = (content, kind, subject, needers, because)
        found: NetworkPolicy | None = self._known.find(question)
        if found is None:
            found = _policy(content, kind, subject, Needers(needers), because)
            self._known.keep(question, frozenset(), found)
        return found

    def _is_for_all(self, opening: Opening) -> bool:
        kinds, egress = PER_NAMESPACE_KINDS, opening.direction is Direction.EGRESS
        return self._per_namespace and egress and opening.flow.kind in kinds

    def _subject(self, opening: Opening) -> Selector | str:
        workload, direction = opening.subject, opening.direction
        namespace = workload.namespace
        if self._is_for_all(opening) and self._snapshot.isolates_all(namespace, direction):
            return EVERYTHING
        found: Selector | str | None = self._known.find((direction, workload))
        if found is None:
            found = self._subject_of(workload, direction)
            self._known.keep((direction, workload), {namespace}, found)
        return found

    def _subject_of(self, workload: Workload, direction: Direction) -> Selector | str:
        selector = selector_of(workload, self._snapshot)
        if selector is None:
            return f"{workload.ref} has no labels by which a policy could name it; give its pods a label"
        others = newly_isolated(selector, workload.namespace, direction, self._snapshot)
        others = tuple(other for other in others if other.ref.key != workload.ref.key)
        if others:
            return (
                f"a policy for {workload.ref} would also select {others[0].ref}, which nothing isolates "
                "today; give their pods labels that differ"
            )
        return selector

    def _named(self, opening: Opening) -> PeersAtPort | str:
        """The peers of an opening and the port at which they are opened."""
        if opening.front is not None:
            return at_front(opening.front, opening, self._snapshot)
        peers = self._peers(opening)
        if isinstance(peers, str):
            return peers
        is_by_address = any(peer.ip_block is not None for peer in peers)
        if is_by_address and is_beyond(opening.counterpart, self._snapshot):
            peers = beyond_ip_blocks(opening, self._snapshot)
            self._port_alone.add((opening.flow.protocol, opening.flow.port))
        return peers if isinstance(peers, str) else (peers, opening.flow.port)

    def _peers(self, opening: Opening) -> tuple[PolicyPeer, ...] | str:
        flow, counterpart = opening.flow, opening.counterpart
        if flow.shared and opening.direction is Direction.INGRESS:
            return (PolicyPeer(namespace_selector=EVERYTHING),)
        match counterpart:
            case PodsPeer(workload=workload):
                question = (workload, opening.subject.namespace)
                found: tuple[PolicyPeer, ...] | str | None = self._known.find(question)
                if found is None:
                    found = self._pods(*question)
                    self._known.keep(question, {workload.namespace}, found)
                return found
            case AddressPeer(addresses=addresses):
                blocks = self._blocks(addresses) if counterpart.host else addresses
                return tuple(PolicyPeer(ip_block=IpBlock(cidr)) for cidr in blocks.cidrs())
            case AnyPeer():
                return unnamed_peers(counterpart, opening, self._snapshot)
        return f"the addresses of {counterpart} are not known"

    def _pods(self, workload: Workload, subject_namespace: str) -> tuple[PolicyPeer, ...] | str:
        if workload.host_network:
            if not workload.node_addresses:
                return (
                    f"{workload.ref} runs in the host network, where policies see addresses of nodes, and "
                    "these are not known; add the cluster's Nodes or the running pods to the input"
                )
            return tuple(
                PolicyPeer(ip_block=IpBlock(f"{address}/{address.max_prefixlen}"))
                for address in workload.node_addresses
            )
        selector = selector_of(workload, self._snapshot)
        if selector is None:
            return f"{workload.ref} has no labels by which a policy could name it; give its pods a label"
        if workload.namespace == subject_namespace:
            return (PolicyPeer(pod_selector=selector),)
        return (PolicyPeer(pod_selector=selector, namespace_selector=namespace_named(workload.namespace)),)


def _intact(policy: NetworkPolicy | Exception) -> NetworkPolicy:
    if isinstance(policy, Exception):
        raise policy
    return policy


def _needer(opening: Opening) -> str:
    shared_side = opening.flow.shared and opening.direction is Direction.INGRESS
    return name_of(opening.subject.ref if shared_side else opening.flow.object)


def _sorted(policies: Iterable[NetworkPolicy]) -> tuple[NetworkPolicy, ...]:
    return tuple(sorted(policies, key=lambda policy: (policy.namespace, policy.name)))


def _policy(
    content: PolicyContent, kind: FlowKind, subject: str, needers: Needers, because: str
) -> NetworkPolicy:
    ports = tuple(PolicyPort(protocol, port) for protocol, port in content.ports)
    rules = (PolicyRule(content.peers, ports),)
    ingress = content.direction is Direction.INGRESS
    policy = NetworkPolicy(
        ref=ObjectRef("networking.k8s.io/v1", "NetworkPolicy", content.namespace, ""),
        pod_selector=content.selector,
        policy_types=frozenset({content.direction}),
        ingress=rules if ingress else (),
        egress=() if ingress else rules,
        labels={MANAGED_BY: OWNER, FLOW_LABEL: str(kind)},
        annotations={REQUIRED_BY: needers.text, **_opening_wide(content, kind, because)},
    )
    return replace(policy, ref=replace(policy.ref, name=policy_name(kind, subject, digest_of(policy))))


def _opening_wide(content: PolicyContent, kind: FlowKind, because: str) -> dict[str, str]:
    """What a policy says of itself that opens egress to everybody: for the API server, where nobody says at
    which addresses it is, or for what Kyma's modules call outside of the cluster; else `because`."""
    if content.peers or content.direction is Direction.INGRESS:
        return {}
    if because:
        return {OPENS_TO: f"every address: {because}"}
    if kind is FlowKind.TO_APISERVER:
        return {OPENS_TO: "every address: that of the API server is not known (setting apiServer.addresses)"}
    return {OPENS_TO: "every address: who is called outside of the cluster has none that a policy could name"}
