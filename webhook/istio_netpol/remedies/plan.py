"""One plan of policies for every door: from judged flows and an authority to what is written for them.

`generate` prints it, mode augment and the controller write it, `check` and refusals word it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from msgspec import Struct, field

from istio_netpol.flows.cache import NamespaceAnswers
from istio_netpol.model.failures import NOT_CONTAINED
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.verdicts import Judged
from istio_netpol.remedies.denied_sides import Opening, openings_of
from istio_netpol.remedies.drafts import DraftPart
from istio_netpol.remedies.overruled import overruled
from istio_netpol.remedies.policy_writer import Blocks, PolicyWriter, Unmendable
from istio_netpol.remedies.required_by import name_of
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import Authority


class DeniedFlow(Struct):
    """A denied flow and what comes of its sides: `parts` of policies that `writer` makes, reasons why none
    can be made, and the sides that stay `closed` because nobody may open them here. `withheld` says that a
    side has not agreed; then the parts are a proposal to whoever may."""

    judged: Judged
    writer: PolicyWriter
    parts: list[DraftPart] = field(default_factory=list)
    unmendable: list[Unmendable] = field(default_factory=list)
    closed: list[Opening] = field(default_factory=list)
    withheld: bool = False

    def with_sides(self, drafted: Iterable[DraftPart | Unmendable]) -> DeniedFlow:
        """The denied flow with the parts and reasons of further sides added."""
        for side in drafted:
            if isinstance(side, DraftPart):
                self.parts.append(side)
            else:
                self.unmendable.append(side)
        return self

    @property
    def remedies(self) -> tuple[NetworkPolicy, ...]:
        """The policies of its parts. Raises the error that left one of them unwritten."""
        return self.writer.remedies(self.parts)


class PolicyPlan:
    """Takes the flows of one analysis, and plans the policies that open what is denied, as far as an
    authority may. Only pods that are isolated already are selected."""

    def __init__(
        self,
        snapshot: Snapshot,
        blocks: Blocks,
        authority: Authority,
        *,
        per_namespace: bool = False,
        known: NamespaceAnswers | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._blocks = blocks
        self._authority = authority
        self._writer = PolicyWriter(snapshot, blocks, per_namespace, known)
        self._opened: dict[Hashable, DraftPart | Unmendable] = {}
        self._failed: set[str] = set()

    def add(self, judged: Judged) -> None:
        """Takes up a flow that no finding will mention. An error becomes a finding about its object alone."""
        try:
            self.take(judged)
        except NOT_CONTAINED:
            raise
        except Exception:
            self._failed.add(name_of(judged.flow.object))

    def refuse(self, judged: Judged) -> DeniedFlow:
        """A denied flow of which nothing is opened, because an address in it is refused."""
        return DeniedFlow(judged, self._writer)

    def take(self, judged: Judged) -> DeniedFlow:
        """Takes up the denied sides of a flow that may be opened."""
        denied, openings = DeniedFlow(judged, self._writer), list(openings_of(judged))
        hopeless = overruled(openings, self._snapshot)
        if hopeless:
            return denied.with_sides(hopeless)
        for opening in openings:
            if not self._authority.may_open(opening.flow, opening.direction):
                denied.closed.append(opening)
                continue
            drafted = self._opened[_side_of(opening)] = self._writer.add(opening)
            denied.with_sides((drafted,))
        return denied

    def completed(self, denied: DeniedFlow) -> DeniedFlow:
        """A flow that was taken, once all were: with what objects of the other end open of its connection.
        Where an end has not agreed, both sides' policies as a proposal; but the called side is opened at its
        own word, whether or not the calling one has agreed yet."""
        spoken_for = [opening for opening in denied.closed if _side_of(opening) in self._opened]
        silent = [
            opening
            for opening in denied.closed
            if opening not in spoken_for and opening.flow.agreement.of(opening.direction) is None
        ]
        is_called_silent = any(opening.direction is Direction.INGRESS for opening in silent)
        if is_called_silent or (silent and not denied.parts):
            proposing = PolicyWriter(self._snapshot, self._blocks)
            proposal = DeniedFlow(denied.judged, proposing, withheld=True)
            return proposal.with_sides(map(proposing.add, openings_of(denied.judged)))
        return denied.with_sides(self._opened[_side_of(opening)] for opening in spoken_for)

    def policies(self) -> tuple[NetworkPolicy, ...]:
        """What may be written, sorted by namespace and name."""
        return self._writer.policies()

    @property
    def failed(self) -> set[str]:
        """The objects, as `required-by` names them, for which an error of our own left a policy unwritten."""
        return self._writer.failed | self._failed


def _side_of(opening: Opening) -> Hashable:
    """One side of a connection, whichever object needs it."""
    flow = opening.flow
    return (
        opening.direction,
        flow.source.key,
        flow.destination.key,
        flow.protocol,
        flow.port,
        opening.front,
    )
