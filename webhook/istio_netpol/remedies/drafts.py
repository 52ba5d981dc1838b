"""What policies are made of, while openings are collected."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction, PolicyPeer
from istio_netpol.remedies.combine import Port


class Draft(Struct, eq=False):
    """What is to be opened for the pods that one selector names, in one direction, for the same objects."""

    direction: Direction
    namespace: str
    selector: Selector
    subject: str
    needers: set[str]
    needs: dict[PolicyPeer | None, dict[Port, FlowKind]] = field(default_factory=dict)

    def add(self, peers: tuple[PolicyPeer, ...], port: Port, kind: FlowKind) -> None:
        """Takes up a port for each peer; no peers: for everybody. A kind is that of the first in order."""
        for peer in peers or (None,):
            ports = self.needs.setdefault(peer, {})
            ports[port] = min(kind, ports.get(port, kind))


class DraftPart(Struct, frozen=True):
    """One opening within a draft."""

    draft: Draft
    peers: tuple[PolicyPeer, ...]
    port: Port


class PolicyContent(Struct, frozen=True):
    """All that a policy does, without its name."""

    direction: Direction
    namespace: str
    selector: Selector
    peers: tuple[PolicyPeer, ...]
    ports: tuple[Port, ...]


class ContentUses(Struct):
    """Why, for which subjects and by which objects a content is needed; `drafts` are the ids of theirs."""

    kinds: set[FlowKind] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    needers: set[str] = field(default_factory=set)
    drafts: list[int] = field(default_factory=list)

    def add(self, draft: Draft, kind: FlowKind) -> None:
        """Takes up one more draft that comes to this content."""
        self.kinds.add(kind)
        self.subjects.add(draft.subject)
        self.needers |= draft.needers
        self.drafts.append(id(draft))


def without_needless(drafts: Iterable[Draft]) -> list[Draft]:
    """The drafts without what one for all pods of their namespace opens too; that one names their objects."""
    drafts = list(drafts)
    for_all: dict[Hashable, Draft] = {
        (draft.direction, draft.namespace, peer, port): draft
        for draft in drafts
        if draft.selector.is_everything
        for peer, ports in draft.needs.items()
        for port in ports
    }
    return [_narrowed(draft, for_all) for draft in drafts] if for_all else drafts


def _narrowed(draft: Draft, for_all: Mapping[Hashable, Draft]) -> Draft:
    if draft.selector.is_everything:
        return draft
    rest = replace(draft, needs={})
    for peer, ports in draft.needs.items():
        for port, kind in ports.items():
            wider = for_all.get((draft.direction, draft.namespace, peer, port))
            if wider is None:
                rest.needs.setdefault(peer, {})[port] = kind
            else:
                wider.needers |= draft.needers
    return rest
