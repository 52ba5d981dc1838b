"""What a flow rule is: a function from one object to the connections that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import FlowKind, RequiredFlow

Outcome = RequiredFlow | Finding
"""A rule yields flows, and findings where no flow can be named (`unknown-destination`, `consent-missing`
…)."""


class Unjudged(Struct, frozen=True):
    """Something that a rule does not judge: `because` says why, and `told` how a user learns of it where it
    occurs. Both are sentences without capital and full stop."""

    what: str
    because: str
    told: str


class Rule(Struct, frozen=True):
    """One row of the catalogue, and of the table in `docs/how-it-decides.md`.

    `subjects` are the model types whose objects the rule looks at, `kind` is the flow kind that it mainly
    yields, `sources` cite where the behaviour is documented, `unjudged` is what these objects say and the
    rule leaves out. `outcomes` must not depend on anything but its arguments.
    """

    name: str
    kind: FlowKind
    subjects: tuple[type, ...]
    sources: tuple[str, ...]
    outcomes: Callable[[Any, MeshView], Iterator[Outcome]]
    unjudged: tuple[Unjudged, ...] = ()
