"""Lists every flow rule, and asks them about an object."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.rules import (
    access_logs,
    api_server_calls,
    authorization_sources,
    client_to_gateway,
    declared_calls,
    dns,
    east_west,
    envoy_filter,
    ext_authz,
    gateway_services,
    gateway_to_istiod,
    gateway_to_workload,
    hbone,
    ingress,
    istiod_to_jwks,
    kubernetes_routes,
    kyma_modules,
    listener_set,
    proxy_to_istiod,
    scrape,
    service_entry,
    sidecar_egress,
    to_apiserver,
    tracing,
    wasm_plugin,
    webhook_from_apiserver,
)
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.witness import agreed
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.connections import FIRST_PORT, LAST_PORT
from istio_netpol.model.control_plane import InjectorConfig, MeshConfig
from istio_netpol.model.failures import NOT_CONTAINED, Failure, TooMuchError, Undecoded
from istio_netpol.model.findings import Finding, beyond_limit, more_findings, not_judged
from istio_netpol.model.flows import AddressPeer, RequiredFlow

CATALOGUE: tuple[Rule, ...] = (
    proxy_to_istiod.RULE,
    gateway_to_istiod.RULE,
    dns.RULE,
    client_to_gateway.RULE,
    gateway_services.RULE,
    listener_set.RULE,
    gateway_to_workload.RULE,
    east_west.RULE,
    kubernetes_routes.RULE,
    ingress.RULE,
    istiod_to_jwks.RULE,
    to_apiserver.RULE,
    webhook_from_apiserver.RULE,
    api_server_calls.RULE,
    kyma_modules.RULE,
    authorization_sources.RULE,
    ext_authz.RULE,
    declared_calls.RULE,
    sidecar_egress.RULE,
    service_entry.RULE,
    hbone.RULE,
    tracing.RULE,
    access_logs.RULE,
    envoy_filter.RULE,
    wasm_plugin.RULE,
    scrape.RULE,
)
"""The rules in the order in which their outcomes are reported."""


def _by_subject() -> dict[type, tuple[Rule, ...]]:
    found: dict[type, tuple[Rule, ...]] = {}
    for rule in CATALOGUE:
        for type_ in rule.subjects:
            found[type_] = (*found.get(type_, ()), rule)
    return found


_UNTOLD_LOOKUPS = 100
"""How much of the limit a finding beyond the listed ones uses up, so that the search for more ends soon."""

_RULES_OF = _by_subject()


def outcomes_of(subject: ClusterObject, view: MeshView) -> tuple[Outcome, ...]:
    """The outcomes of every rule for one object; none for types that no rule looks at."""
    if isinstance(subject, Undecoded):
        return (not_judged(subject.ref, subject.failure),)
    rules = _RULES_OF.get(type(subject), ())
    found = tuple(outcome for rule in rules for outcome in _contained(rule, subject, view))
    return (*_unread_parts(subject), *found) if isinstance(subject, MeshConfig | InjectorConfig) else found


def _unread_parts(config: MeshConfig | InjectorConfig) -> tuple[Finding, ...]:
    """Findings for the parts of a configuration that can't be read: they may name a destination."""
    return tuple(unknown(config.ref, part.field, part.sentence) for part in config.unread)


def _contained(rule: Rule, subject: ClusterObject, view: MeshView) -> Iterator[Outcome]:
    """The outcomes of one rule for an object, as far as the limits go. An error in the rule ends its outcomes
    for this object, and nothing else."""
    try:
        for outcome in _limited(rule, subject, view):
            yield agreed(outcome, view)
    except TooMuchError as error:
        yield beyond_limit(subject.ref, error)
    except NOT_CONTAINED:
        raise
    except Exception as error:
        yield not_judged(subject.ref, Failure.of(f"rule {rule.name}", error))


def _limited(rule: Rule, subject: ClusterObject, view: MeshView) -> Iterator[Outcome]:
    """The outcomes of one rule for an object. Raises TooMuchError where there are more than the limits allow;
    the rest is not asked for."""
    limits = view.settings.limits
    view.allow(limits.lookups_per_object)
    flows = findings = 0
    for outcome in rule.outcomes(subject, view):
        found = _nameable(subject, outcome)
        if isinstance(found, Finding):
            findings += 1
            if findings > limits.findings_per_object:
                view.spend(_UNTOLD_LOOKUPS)
                continue
        else:
            flows += _width(found)
            if flows > limits.flows_per_object:
                sentence = f"more than {limits.flows_per_object:,} connections"
                raise TooMuchError(sentence, "limits.flowsPerObject")
        yield found
    if findings > limits.findings_per_object:
        yield more_findings(subject.ref, findings - limits.findings_per_object)


def _width(flow: RequiredFlow) -> int:
    """How much of the limit a flow takes: one, or the CIDRs at its ends."""
    ends = (flow.source, flow.destination)
    return max(end.addresses.cidr_count if isinstance(end, AddressPeer) else 1 for end in ends)


def _nameable(subject: ClusterObject, outcome: Outcome) -> Outcome:
    """The outcome; a finding instead of a flow to a port that no policy can name."""
    if isinstance(outcome, Finding) or FIRST_PORT <= outcome.port <= LAST_PORT:
        return outcome
    sentence = (
        f"{outcome.destination} can't be reached at port {outcome.port}; use {FIRST_PORT} to {LAST_PORT}"
    )
    return unknown(subject.ref, outcome.field, sentence)
