"""RequestAuthentication: whoever fetches the keys of an issuer connects to the host that serves them.

istiod fetches them itself, once for all proxies. With `PILOT_JWT_ENABLE_REMOTE_JWKS` the proxies that check
the tokens fetch a `jwksUri` whose host Istio knows as a Service or ServiceEntry; other hosts, and the
discovery document of an issuer, stay with istiod. Names without a dot resolve where istiod runs, as its DNS
search path has it, not where the object lives. istiod has no sidecar, so a ServiceEntry says nothing about
its connections.

An identity provider in somebody else's namespace has to agree: a tenant must not send istiod to a Service of
their choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec import Struct

from istio_netpol.istio.call_flows import dialled
from istio_netpol.istio.hbone import meant_by, reached
from istio_netpol.istio.policy_attachment import enforcing_proxies
from istio_netpol.istio.rule import Outcome, Rule, Unjudged, unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import FIRST_PORT, Protocol
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.istio_security import JwtRule, RequestAuthentication
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

DEFAULT_PORTS = {"http": 80, "https": 443}


class HostPort(Struct, frozen=True):
    """`host` is a lower-case DNS name without its last dot, or an IP address without brackets."""

    host: str
    port: int


def host_port(url: str) -> HostPort | None:
    """The host and port that an http or https URL is fetched from; None for other text."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host or any(char.isspace() for char in host):
        return None
    if port is not None and port < FIRST_PORT:
        return None
    return HostPort(host.removesuffix("."), port or DEFAULT_PORTS[scheme])


DISCOVERY_PATH = "/.well-known/openid-configuration"


def outcomes(policy: RequestAuthentication, view: MeshView) -> Iterator[Outcome]:
    """Flows for every rule without inline keys: to the host of `jwksUri`, or without one to the issuer's
    host, which names the keys' URL."""
    for rule in policy.jwt_rules:
        if not rule.has_inline_jwks:
            yield from _of_rule(policy, rule, view)


def _of_rule(policy: RequestAuthentication, rule: JwtRule, view: MeshView) -> Iterator[Outcome]:
    url = rule.jwks_uri or rule.issuer
    field = f"{rule.field}.{'jwksUri' if rule.jwks_uri else 'issuer'}"
    place = host_port(url)
    if place is None:
        yield _unusable(policy, rule, field)
        return
    asked = _KeySource(policy, rule, place, field)
    clients, target = _clients(asked, view)
    found = [flow for client in clients for flow in _flows(asked, client, target, view)]
    yield from found
    if clients and not found:
        sentence = (
            f"nothing of the cluster answers at {place.host} port {place.port}; correct it, or add the "
            "Service to the input"
        )
        yield unknown(policy.ref, field, sentence)
    if not rule.jwks_uri:
        sentence = (
            f"the answer of {url.rstrip('/')}{DISCOVERY_PATH} may name another host for the keys; give "
            "jwksUri to make this exact"
        )
        yield unknown(policy.ref, field, sentence, Severity.INFO)


class _KeySource(Struct, frozen=True):
    """One rule, the place that its keys come from, and the path in the object that names it."""

    policy: RequestAuthentication
    rule: JwtRule
    place: HostPort
    field: str


def _flows(
    asked: _KeySource, client: Workload, target: Service | ServiceEntry | None, view: MeshView
) -> Iterator[RequiredFlow]:
    if target is None:
        known = view.resolve_host(asked.place.host, client.namespace)
        target = known if isinstance(known, Service) else None
    for backend in _answers(asked.place, client, target, view):
        service = target if isinstance(target, Service) else backend.service
        choosers = backend.choosers if target is None else (target.ref.namespace, *backend.choosers)
        for wire in reached(view, client, service, backend):
            meant, meant_port = meant_by(backend, wire)
            yield RequiredFlow(
                kind=FlowKind.ISTIOD_TO_JWKS,
                object=asked.policy.ref,
                source=PodsPeer(client),
                destination=wire.peer,
                protocol=wire.protocol,
                port=wire.port,
                reason=_reason(asked.policy, asked.rule),
                field=asked.field,
                via=Via(service, choosers, meant=meant, meant_port=meant_port),
            )


def _unusable(policy: RequestAuthentication, rule: JwtRule, field: str) -> Finding:
    if rule.jwks_uri:
        return unknown(
            policy.ref,
            field,
            f"{rule.jwks_uri} is not an http or https URL, so no keys can be fetched; correct it",
        )
    return unknown(
        policy.ref,
        field,
        f"the issuer {rule.issuer} is not an http or https URL, so its keys can't be discovered and Istio "
        "rejects its tokens; give jwksUri or jwks",
    )


def _clients(asked: _KeySource, view: MeshView) -> tuple[tuple[Workload, ...], Service | ServiceEntry | None]:
    """The pods that fetch the keys, and what the host means to them: proxies ask Istio's registry, istiod
    asks DNS."""
    if view.proxies_fetch_jwks and asked.rule.jwks_uri:
        known = view.resolve_host(asked.place.host, asked.policy.ref.namespace)
        if isinstance(known, ServiceEntry) or (known and view.service_host(known) == asked.place.host):
            return enforcing_proxies(view, asked.policy), known
    return view.every_istiod(), None


def _answers(
    place: HostPort, client: Workload, target: Service | ServiceEntry | None, view: MeshView
) -> tuple[Backend, ...]:
    if target is None:
        return view.address_backends(place.host, client.namespace, place.port)
    if isinstance(target, Service):
        found = dialled(view, target, place.port)
    else:
        found = view.entry_backends(target, place.port)
    return tuple(backend for backend in found if backend.protocol is Protocol.TCP)


def _reason(policy: RequestAuthentication, rule: JwtRule) -> str:
    if rule.jwks_uri:
        return f"{policy.ref} takes the keys of issuer {rule.issuer} from {rule.jwks_uri}"
    return (
        f"{policy.ref} names no keys for issuer {rule.issuer}, so they are looked up under its "
        f"{DISCOVERY_PATH}"
    )


RULE = Rule(
    name="istiod-to-jwks",
    kind=FlowKind.ISTIOD_TO_JWKS,
    subjects=(RequestAuthentication,),
    sources=(
        "https://istio.io/latest/docs/reference/config/security/jwt/ (Istio 1.28)",
        "istio/istio pilot/pkg/model/jwks_resolver.go (Istio 1.28)",
        "istio/istio pilot/pkg/security/authn/policy_applier.go, convertToEnvoyJwtConfig (Istio 1.28)",
        "https://istio.io/latest/docs/reference/commands/pilot-discovery/ PILOT_JWT_ENABLE_REMOTE_JWKS "
        "(Istio 1.28)",
    ),
    outcomes=outcomes,
    unjudged=(
        Unjudged(
            "keys at a host that does not resolve",
            "its addresses can't be compared with policies",
            "warning `jwks-unresolvable`; `--address` names them",
        ),
    ),
)
