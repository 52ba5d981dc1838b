"""What a flow rule is: a function from one object to the connections that it needs, and to findings for
needs that can't be named as a flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.references import ObjectRef

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


def unknown(ref: ObjectRef, field: str, sentence: str, severity: Severity = Severity.WARNING) -> Finding:
    """A finding for a destination or a source that the object names and that can't be found; `sentence`
    starts with its name."""
    return Finding(Issue.UNKNOWN_DESTINATION, severity, ref, f"{ref}: {field}: {sentence}", field=field)


def not_granted(ref: ObjectRef, field: str, sentence: str) -> Finding:
    """A finding for a destination whose namespace has not agreed, so that Istio itself refuses it."""
    return Finding(Issue.CONSENT_MISSING, Severity.WARNING, ref, f"{ref}: {field}: {sentence}", field=field)


def foreign_routing(ref: ObjectRef, field: str, written: str, router: ObjectRef) -> Finding:
    """A finding for routing of another tenant, which proxies follow and policies do not."""
    sentence = (
        f"{ref}: {field}: {written}: {router} of another namespace says where sidecars connect for this "
        "host; no policy follows it. Limit its exportTo, or name the hosts that are meant in a Sidecar"
    )
    return Finding(Issue.FOREIGN_ROUTING, Severity.WARNING, ref, sentence, field=field)
