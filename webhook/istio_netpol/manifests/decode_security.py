"""Decodes Istio's security and telemetry objects (security.istio.io, telemetry.istio.io)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from istio_netpol.manifests.decode_selectors import labels_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.mesh import (
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    JwtRule,
    RequestAuthentication,
    TargetRef,
    Telemetry,
)
from istio_netpol.model.references import ObjectRef

NEGATIONS = (
    "notPrincipals",
    "notRequestPrincipals",
    "notNamespaces",
    "notIpBlocks",
    "notRemoteIpBlocks",
    "notServiceAccounts",
)


def decode_request_authentication(fields: Fields, ref: ObjectRef) -> Iterator[RequestAuthentication]:
    """A RequestAuthentication."""
    spec = fields.mapping("spec")
    rules = tuple(
        JwtRule(
            rule.text("issuer"),
            rule.text("jwksUri") or rule.text("jwks_uri"),
            bool(rule.text("jwks")),
            rule.path,
        )
        for rule in spec.mappings("jwtRules")
    )
    yield RequestAuthentication(ref, _selector(spec), _target_refs(spec), rules)


def decode_authorization_policy(fields: Fields, ref: ObjectRef) -> Iterator[AuthorizationPolicy]:
    """An AuthorizationPolicy; without an action it is ALLOW."""
    spec = fields.mapping("spec")
    yield AuthorizationPolicy(
        ref=ref,
        action=spec.text("action", "ALLOW"),
        selector=_selector(spec),
        target_refs=_target_refs(spec),
        rules=tuple(_rule(rule) for rule in spec.mappings("rules")),
        provider=spec.mapping("provider").text("name"),
    )


def _rule(fields: Fields) -> AuthorizationRule:
    sources = tuple(_source(entry.mapping("source")) for entry in fields.mappings("from"))
    ports = []
    for entry in fields.mappings("to"):
        operation = entry.mapping("operation")
        for index, text in enumerate(operation.texts("ports")):
            if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535:
                ports.append(int(text))
            else:
                operation.problem(
                    f"{operation.at('ports')}[{index}]", text, "is no port number", 'write "8080"'
                )
    return AuthorizationRule(sources, tuple(dict.fromkeys(ports)))


def _source(fields: Fields) -> AuthorizationSource:
    return AuthorizationSource(
        principals=fields.texts("principals"),
        namespaces=fields.texts("namespaces"),
        ip_blocks=fields.texts("ipBlocks"),
        service_accounts=fields.texts("serviceAccounts"),
        request_principals=fields.texts("requestPrincipals"),
        remote_ip_blocks=fields.texts("remoteIpBlocks"),
        has_negations=any(fields.has(name) for name in NEGATIONS),
    )


def decode_telemetry(fields: Fields, ref: ObjectRef) -> Iterator[Telemetry]:
    """A Telemetry, as far as tracing goes."""
    spec = fields.mapping("spec")
    tracing = list(spec.mappings("tracing"))
    providers = dict.fromkeys(p.text("name") for entry in tracing for p in entry.mappings("providers"))
    yield Telemetry(
        ref=ref,
        selector=_selector(spec),
        target_refs=_target_refs(spec),
        tracing_providers=tuple(providers),
        has_tracing=bool(tracing),
        disables_tracing=bool(tracing) and all(entry.flag("disableSpanReporting") for entry in tracing),
    )


def _selector(spec: Fields) -> Mapping[str, str] | None:
    selector = spec.optional("selector")
    return None if selector is None else labels_of(selector, "matchLabels")


def _target_refs(spec: Fields) -> tuple[TargetRef, ...]:
    entries = [*spec.mappings("targetRefs"), *([spec.mapping("targetRef")] if spec.has("targetRef") else [])]
    return tuple(
        TargetRef(entry.text("group"), entry.text("kind"), entry.text("name"), entry.text("namespace"))
        for entry in entries
    )
