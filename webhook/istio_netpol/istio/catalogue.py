"""Every flow rule, and what they say of an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.rules import (
    access_logs,
    authorization_sources,
    client_to_gateway,
    declared_calls,
    dns,
    ext_authz,
    gateway_to_istiod,
    gateway_to_workload,
    hbone,
    istiod_to_jwks,
    kubernetes_routes,
    proxy_to_istiod,
    scrape,
    service_entry,
    sidecar_egress,
    to_apiserver,
    tracing,
    webhook_from_apiserver,
)
from istio_netpol.istio.unnamed import unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import FIRST_PORT, LAST_PORT
from istio_netpol.model.failures import Failure, Undecoded
from istio_netpol.model.findings import Finding, not_judged

CATALOGUE: tuple[Rule, ...] = (
    proxy_to_istiod.RULE,
    gateway_to_istiod.RULE,
    dns.RULE,
    client_to_gateway.RULE,
    gateway_to_workload.RULE,
    kubernetes_routes.RULE,
    istiod_to_jwks.RULE,
    to_apiserver.RULE,
    webhook_from_apiserver.RULE,
    authorization_sources.RULE,
    ext_authz.RULE,
    declared_calls.RULE,
    sidecar_egress.RULE,
    service_entry.RULE,
    hbone.RULE,
    tracing.RULE,
    access_logs.RULE,
    scrape.RULE,
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
    if isinstance(subject, Undecoded):
        return (not_judged(subject.ref, subject.failure),)
    rules = _RULES_OF.get(type(subject), ())
    return tuple(outcome for rule in rules for outcome in _contained(rule, subject, view))


def _contained(rule: Rule, subject: Any, view: MeshView) -> Iterator[Outcome]:
    """What one rule says of an object. An error in it ends what it says of this object, and nothing else."""
    try:
        for outcome in rule.outcomes(subject, view):
            yield _nameable(subject, outcome)
    except MemoryError:
        raise
    except Exception as error:
        yield not_judged(subject.ref, Failure.of(f"rule {rule.name}", error))


def _nameable(subject: Any, outcome: Outcome) -> Outcome:
    """The outcome; a finding instead of a flow to a port that no policy can name."""
    if isinstance(outcome, Finding) or FIRST_PORT <= outcome.port <= LAST_PORT:
        return outcome
    sentence = (
        f"{outcome.destination} can't be reached at port {outcome.port}; use {FIRST_PORT} to {LAST_PORT}"
    )
    return unknown(subject.ref, outcome.field, sentence)
