"""Every flow rule, and what they say of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.rules import (
    client_to_gateway,
    dns,
    gateway_to_istiod,
    gateway_to_workload,
    proxy_to_istiod,
    to_apiserver,
    webhook_from_apiserver,
)

if TYPE_CHECKING:
    from istio_netpol.istio.mesh_view import MeshView

CATALOGUE: tuple[Rule, ...] = (
    proxy_to_istiod.RULE,
    gateway_to_istiod.RULE,
    dns.RULE,
    client_to_gateway.RULE,
    gateway_to_workload.RULE,
    to_apiserver.RULE,
    webhook_from_apiserver.RULE,
)
"""The rules in the order in which their outcomes are told."""


def _by_subject() -> dict[type, tuple[Rule, ...]]:
    found: dict[type, tuple[Rule, ...]] = {}
    for rule in CATALOGUE:
        for type_ in rule.subjects:
            found[type_] = (*found.get(type_, ()), rule)
    return found


_RULES_OF = _by_subject()


def outcomes_of(subject: Any, view: MeshView) -> tuple[Outcome, ...]:
    """What every rule says of one object; nothing for types that no rule looks at."""
    return tuple(
        outcome for rule in _RULES_OF.get(type(subject), ()) for outcome in rule.outcomes(subject, view)
    )
