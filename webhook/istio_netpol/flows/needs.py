"""What one object needs, by every rule that looks at objects of its type."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from istio_netpol.istio.catalogue import outcomes_of
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.state.reads import Read


class Needs(Struct, frozen=True):
    """What one object needs. `reads` is all that was asked for it, existing or not: what it depends on
    besides the object itself."""

    flows: tuple[RequiredFlow, ...] = ()
    findings: tuple[Finding, ...] = ()
    reads: frozenset[Read] = frozenset()

    def merged(self, others: Needs) -> Needs:
        """The needs of two classes of pods that have one name: a pod that says falsely who owns it takes
        nothing from the one that it names."""
        return Needs(self.flows + others.flows, self.findings + others.findings, self.reads | others.reads)


NOTHING = Needs()


def needs_of(subject: Any, view: MeshView) -> Needs:
    """Evaluates every rule that looks at objects of this type."""
    try:
        outcomes, reads = view.noting(lambda: outcomes_of(subject, view))
    finally:
        view.allow(math.inf)
    flows: dict[Any, RequiredFlow] = {}
    for outcome in outcomes:
        if isinstance(outcome, RequiredFlow):
            flows.setdefault(outcome.key, outcome)
    findings = tuple(outcome for outcome in outcomes if isinstance(outcome, Finding))
    return Needs(tuple(flows.values()), findings, reads)
