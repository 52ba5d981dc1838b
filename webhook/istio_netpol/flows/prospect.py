"""A cluster after a change, and whom the change concerns."""

from __future__ import annotations

from functools import cached_property

from istio_netpol.flows.affected import Affected
from istio_netpol.flows.dependencies import Dependencies
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.settings import Settings
from istio_netpol.state.changes import Change
from istio_netpol.state.reader import NO_ANSWERS, EarlierAnswers
from istio_netpol.state.snapshot import Snapshot


class Prospect:
    """The `snapshot` after a change, of which `dependencies` and `answers` tell what was asked before it. The
    objects with these `keys` are to be worked out anew, by its view; `touched` is what was read and may be
    another thing now."""

    def __init__(
        self,
        snapshot: Snapshot,
        settings: Settings,
        change: Change,
        dependencies: Dependencies,
        answers: EarlierAnswers,
    ) -> None:
        self.snapshot = snapshot
        self.change = change
        self._settings = settings
        self._answers = answers
        touches = dependencies.touched(change)
        self._stale = dependencies.questions_on(touches)
        self.touched = touches | self._stale
        affected = Affected(dependencies, answers, touches, self._stale, lambda: self.view.reader)
        self.keys = frozenset(affected.keys(change))

    @cached_property
    def view(self) -> MeshView:
        """The cluster as rules see it. Most events need none."""
        return MeshView(self.snapshot, self._settings, self._answers, self._stale)

    @property
    def found(self) -> EarlierAnswers:
        """The answers that were worked out so far, other ones or the same as before."""
        return self.view.reader.found if "view" in self.__dict__ else NO_ANSWERS
