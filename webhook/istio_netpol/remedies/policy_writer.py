"""From openings to NetworkPolicies: one policy for each pair of subject and counterpart, named after its
own content.

A policy's name is derived from everything that it says, so that two writers who need the same opening write
the same object, and writers of different openings never overwrite one another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from istio_netpol.flows.cache import Known
from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.failures import Failure
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, PodsPeer
from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.own_names import FLOW_LABEL, MANAGED_BY, OWNER, REQUIRED_BY
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.denied_sides import Opening
from istio_netpol.remedies.pod_selector import newly_isolated, selector_of
from istio_netpol.state.snapshot import Snapshot

PER_NAMESPACE_KINDS = frozenset({FlowKind.PROXY_TO_ISTIOD, FlowKind.DNS})
"""Flows that pods of one namespace need alike, for `--per-namespace`."""

Blocks = Callable[[AddressSet], AddressSet]
"""Merges the addresses of a host into as few blocks as the settings allow."""

_NAME_LIMIT = 180


@dataclass(frozen=True, slots=True)
class Unmendable:
    """A side that no policy can open, and why: a clause that completes "… can't be allowed, because"."""

    opening: Opening
    because: str


@dataclass(slots=True, eq=False)
class Draft:
    """A policy in the making: the same subject and counterpart may need several ports, and for several
    objects."""

    direction: Direction
    namespace: str
    subject_name: str
    selector: Selector
    peers: tuple[PolicyPeer, ...]
    ports: set[tuple[Protocol, int]] = field(default_factory=set)
    kinds: set[FlowKind] = field(default_factory=set)
    required_by: set[str] = field(default_factory=set)

    @property
    def content(self) -> Hashable:
        """All that its policy will say."""
        parts = (frozenset(self.ports), frozenset(self.kinds), frozenset(self.required_by))
        subject = (self.direction, self.namespace, self.subject_name, self.selector)
        return (*subject, self.peers, *parts)


class PolicyWriter:
    """Collects openings of one snapshot and writes the policies for them; `known` holds what earlier writers
    worked out."""

    def __init__(
        self, snapshot: Snapshot, blocks: Blocks, per_namespace: bool = False, known: Known | None = None
    ) -> None:
        self._snapshot = snapshot
        self._blocks = blocks
        self._per_namespace = per_namespace
        self._known = known or Known()
        self._drafts: dict[object, Draft] = {}
        self.failed: set[str] = set()
        """The objects, as `required-by` names them, for which an error of our own left a policy unwritten."""

    def add(self, opening: Opening) -> Draft | Unmendable:
        """Takes up one opening: the policy that will open it once all openings were added, or why none
        can. An error in that is contained to the opening."""
        try:
            return self._add(opening)
        except MemoryError:
            raise
        except Exception as error:
            self.failed.add(name_of(opening.flow.object))
            return Unmendable(opening, str(Failure.of("policy writer", error)))

    def _add(self, opening: Opening) -> Draft | Unmendable:
        peers = self._peers(opening)
        subject = self._subject(opening)
        if isinstance(peers, str) or isinstance(subject, str):
            return Unmendable(opening, peers if isinstance(peers, str) else str(subject))
        flow, workload = opening.flow, opening.subject
        name = "all" if subject.is_everything else workload.name
        ports = () if flow.kind is FlowKind.DNS else (flow.protocol, flow.port)
        identity = (opening.direction, workload.namespace, subject, peers, ports)
        draft = self._drafts.get(identity)
        if draft is None:
            draft = Draft(opening.direction, workload.namespace, name, subject, peers)
            self._drafts[identity] = draft
        draft.kinds.add(flow.kind)
        draft.ports.add((flow.protocol, flow.port))
        draft.required_by.add(_required_by(opening))
        return draft

    def policies(self) -> tuple[NetworkPolicy, ...]:
        """The policies, sorted by namespace and name; none that one for all pods of its namespace makes
        needless."""
        for_all = {_way(each): each for each in self._drafts.values() if each.selector.is_everything}
        needed = []
        for draft in self._drafts.values():
            wider = for_all.get(_way(draft))
            if wider is None or wider is draft or not draft.ports <= wider.ports:
                needed.append(draft)
            else:
                wider.required_by |= draft.required_by
        return _sorted(policy for draft in needed if (policy := self._contained(draft)))

    def _contained(self, draft: Draft) -> NetworkPolicy | None:
        """The policy of a draft; None where an error of our own left it unwritten."""
        try:
            return self._written(draft)
        except MemoryError:
            raise
        except Exception:
            self.failed |= draft.required_by
            return None

    def _written(self, draft: Draft) -> NetworkPolicy:
        question = draft.content
        found: NetworkPolicy | None = self._known.find(question)
        if found is None:
            found = _policy(draft)
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
        others = tuple(each for each in others if each.ref.key != workload.ref.key)
        if others:
            return (
                f"a policy for {workload.ref} would also select {others[0].ref}, which nothing isolates "
                "today; give their pods labels that differ"
            )
        return selector

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
                return tuple(PolicyPeer(ip_block=IpBlock(str(network))) for network in blocks.networks())
            case AnyPeer():
                return ()
        return f"the addresses of {counterpart} are not known"

    def _pods(self, workload: Workload, subject_namespace: str) -> tuple[PolicyPeer, ...] | str:
        if workload.host_network:
            if not workload.node_addresses:
                return f"{workload.ref} runs in the host network at node addresses that are not known"
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


def _way(draft: Draft) -> object:
    """What drafts have in common whose policies differ in the pods that they select, and in ports."""
    return (draft.direction, draft.namespace, draft.peers)


def _required_by(opening: Opening) -> str:
    shared_side = opening.flow.shared and opening.direction is Direction.INGRESS
    return name_of(opening.subject.ref if shared_side else opening.flow.object)


def name_of(ref: ObjectRef) -> str:
    """An object as the annotation `required-by` names it."""
    return f"{ref.kind}/{ref.namespace}/{ref.name}"


def written(drafts: Iterable[Draft]) -> tuple[NetworkPolicy, ...]:
    """The policies of these drafts, sorted by namespace and name."""
    return _sorted(map(_policy, drafts))


def _sorted(policies: Iterable[NetworkPolicy]) -> tuple[NetworkPolicy, ...]:
    return tuple(sorted(policies, key=lambda policy: (policy.namespace, policy.name)))


def _policy(draft: Draft) -> NetworkPolicy:
    ports = tuple(PolicyPort(protocol, port) for protocol, port in sorted(draft.ports))
    rules = (PolicyRule(draft.peers, ports),)
    said = repr((draft.direction, draft.selector, draft.peers, ports))
    digest = sha256(said.encode()).hexdigest()[:8]
    kind = min(draft.kinds)
    name = f"{kind}-{draft.subject_name[:_NAME_LIMIT].rstrip('.-')}-{digest}"
    ingress = draft.direction is Direction.INGRESS
    return NetworkPolicy(
        ref=ObjectRef("networking.k8s.io/v1", "NetworkPolicy", draft.namespace, name),
        pod_selector=draft.selector,
        policy_types=frozenset({draft.direction}),
        ingress=rules if ingress else (),
        egress=() if ingress else rules,
        labels={MANAGED_BY: OWNER, FLOW_LABEL: str(kind)},
        annotations={REQUIRED_BY: ", ".join(sorted(draft.required_by))},
    )
