"""Decodes Istio's security and telemetry objects (security.istio.io, telemetry.istio.io)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

from msgspec.structs import replace

from istio_netpol.manifests.decode_selectors import labels_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.connections import parse_port
from istio_netpol.model.istio_security import (
    ANY_REQUEST,
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    JwtRule,
    MutualTls,
    PeerAuthentication,
    PortMatch,
    RequestAuthentication,
    RequestMatch,
    Telemetry,
)
from istio_netpol.model.references import ObjectRef, TargetRef

_SOURCE_KEYS = {
    "source.principal": "principals",
    "source.namespace": "namespaces",
    "source.serviceAccount": "service_accounts",
    "source.ip": "ip_blocks",
    "remote.ip": "remote_ip_blocks",
}
"""Keys of `when` that say the same as a list of `from.source`."""

DRY_RUN = "istio.io/dry-run"
_TRUE = frozenset({"1", "t", "true"})
"""What Go's `strconv.ParseBool` takes for true, in lower case."""

_OTHER_SOURCE_FIELDS = ("notRequestPrincipals", "notRemoteIpBlocks", "trustDomains", "notTrustDomains")
_REQUEST_FIELDS = ("hosts", "notHosts", "methods", "notMethods", "paths", "notPaths")
_SOURCE_FIELDS = frozenset(AuthorizationSource.__struct_fields__)


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
    yield RequestAuthentication(ref, selector_in(spec), target_refs_in(spec), rules)


def decode_authorization_policy(fields: Fields, ref: ObjectRef) -> Iterator[AuthorizationPolicy]:
    """An AuthorizationPolicy; without an action it is ALLOW."""
    spec = fields.mapping("spec")
    yield AuthorizationPolicy(
        ref=ref,
        action=spec.text("action", "ALLOW"),
        selector=selector_in(spec),
        target_refs=target_refs_in(spec),
        rules=tuple(_rule(rule) for rule in spec.mappings("rules")),
        provider=spec.mapping("provider").text("name"),
        is_on_trial=fields.mapping("metadata").strings("annotations").get(DRY_RUN, "").lower() in _TRUE,
    )


def _rule(fields: Fields) -> AuthorizationRule:
    """A rule. What its `when` says of the peer is merged into its sources; a list that the source has itself
    stays, as it names at least those that both name, and the condition is kept by its key."""
    peer, conditions, others = _when(fields)
    sources = [_source(entry.mapping("source")) for entry in fields.mappings("from")]
    if not sources and peer:
        sources = [AuthorizationSource()]
    merged = (
        replace(source, **{name: values for name, values in peer.items() if not getattr(source, name)})
        for source in sources
    )
    others += [
        key
        for key, name in _SOURCE_KEYS.items()
        if any(
            listed in peer and any(getattr(source, listed) for source in sources)
            for listed in (name, f"not_{name}")
        )
    ]
    matches = tuple(_operation(entry.mapping("operation")) for entry in fields.mappings("to"))
    return AuthorizationRule(tuple(merged), matches, conditions, tuple(dict.fromkeys(others)))


def _operation(fields: Fields) -> PortMatch:
    return PortMatch(_ports(fields, "ports"), _ports(fields, "notPorts"), _request(fields))


def _request(fields: Fields) -> RequestMatch:
    lists = [fields.texts(name) for name in _REQUEST_FIELDS]
    return RequestMatch(*lists) if any(lists) else ANY_REQUEST


def _when(fields: Fields) -> tuple[dict[str, tuple[str, ...]], tuple[PortMatch, ...], list[str]]:
    """What the conditions of a rule say of the peer, by field of a source, and of ports; and the keys of
    those that say more than that."""
    peer: dict[str, tuple[str, ...]] = {}
    ports, others = [], []
    for condition in fields.mappings("when"):
        key = condition.text("key")
        if key == "destination.port":
            ports.append(PortMatch(_ports(condition, "values"), _ports(condition, "notValues")))
            continue
        name = _SOURCE_KEYS.get(key, "")
        found = {name: condition.texts("values"), f"not_{name}": condition.texts("notValues")}
        lists = {name: values for name, values in found.items() if values and name in _SOURCE_FIELDS}
        if not name or len(lists) < sum(map(bool, found.values())) or lists.keys() & peer.keys():
            others.append(key)
        peer |= lists
    return peer, tuple(ports), others


def _ports(fields: Fields, name: str) -> tuple[int, ...]:
    """Port numbers, which Istio has as text."""
    found = []
    for index, text in enumerate(fields.texts(name)):
        port = parse_port(text)
        if port is not None:
            found.append(port)
        else:
            fields.problem(f"{fields.at(name)}[{index}]", text, "is not a port number", 'write "8080"')
    return tuple(dict.fromkeys(found))


def _source(fields: Fields) -> AuthorizationSource:
    return AuthorizationSource(
        principals=fields.texts("principals"),
        namespaces=fields.texts("namespaces"),
        ip_blocks=fields.texts("ipBlocks"),
        service_accounts=fields.texts("serviceAccounts"),
        request_principals=fields.texts("requestPrincipals"),
        remote_ip_blocks=fields.texts("remoteIpBlocks"),
        not_principals=fields.texts("notPrincipals"),
        not_namespaces=fields.texts("notNamespaces"),
        not_ip_blocks=fields.texts("notIpBlocks"),
        not_service_accounts=fields.texts("notServiceAccounts"),
        others=tuple(name for name in _OTHER_SOURCE_FIELDS if fields.texts(name)),
    )


def decode_telemetry(fields: Fields, ref: ObjectRef) -> Iterator[Telemetry]:
    """A Telemetry, as far as tracing and access logs go."""
    spec = fields.mapping("spec")
    tracing, logs = list(spec.mappings("tracing")), list(spec.mappings("accessLogging"))
    yield Telemetry(
        ref=ref,
        selector=selector_in(spec),
        target_refs=target_refs_in(spec),
        tracing_providers=_provider_names(tracing),
        has_tracing=bool(tracing),
        disables_tracing=bool(tracing) and all(entry.flag("disableSpanReporting") for entry in tracing),
        log_providers=_provider_names(logs),
        has_access_logs=bool(logs),
        disables_access_logs=bool(logs) and all(entry.flag("disabled") for entry in logs),
    )


def _provider_names(entries: Iterable[Fields]) -> tuple[str, ...]:
    names = (provider.text("name") for entry in entries for provider in entry.mappings("providers"))
    return tuple(dict.fromkeys(names))


def selector_in(spec: Fields) -> Mapping[str, str] | None:
    """The pods that a policy selects; None where it says nothing of them."""
    selector = spec.optional("selector")
    return None if selector is None else labels_of(selector, "matchLabels")


def target_refs_in(spec: Fields) -> tuple[TargetRef, ...]:
    """What a policy names in `targetRefs`, or in `targetRef`."""
    entries = [*spec.mappings("targetRefs"), *([spec.mapping("targetRef")] if spec.has("targetRef") else [])]
    return tuple(
        TargetRef(entry.text("group"), entry.text("kind"), entry.text("name"), entry.text("namespace"))
        for entry in entries
    )


def decode_peer_authentication(fields: Fields, ref: ObjectRef) -> Iterator[PeerAuthentication]:
    """A PeerAuthentication; a mode that is absent is UNSET."""
    spec = fields.mapping("spec")
    yield PeerAuthentication(
        ref,
        selector_in(spec),
        mode_in(spec.mapping("mtls"), MutualTls, MutualTls.UNSET),
        dict(_port_modes(spec.mapping("portLevelMtls"))),
        fields.mapping("metadata").text("creationTimestamp"),
    )


def _port_modes(ports: Fields) -> Iterator[tuple[int, MutualTls]]:
    """The modes by port of the pods; JSON has numbers as keys in quotes."""
    for key in ports.content:
        number = parse_port(str(key))
        if number is None:
            ports.problem(ports.at(str(key)), None, "is not a port number", "use 1 to 65535")
        else:
            yield number, mode_in(ports.mapping(key), MutualTls, MutualTls.UNSET)


ModeType = TypeVar("ModeType", bound=StrEnum)


def mode_in(fields: Fields, modes: type[ModeType], default: ModeType) -> ModeType:
    """The field `mode`; the default where it is absent, or a value that there is not."""
    said = fields.text("mode", default)
    if said in modes.__members__:
        return modes[said]
    fields.problem(fields.at("mode"), said, "is not a mode", f"use {', '.join(modes.__members__)}")
    return default
