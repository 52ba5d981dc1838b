"""RequestAuthentication: whoever fetches the keys of an issuer connects to the host that serves them.

istiod fetches them itself, once for all proxies. With `PILOT_JWT_ENABLE_REMOTE_JWKS` the proxies that check
the tokens do. Names without a dot
resolve where the client runs, as its DNS search path has it, not where the object lives. istiod has no
sidecar, so a ServiceEntry
says nothing about its connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from istio_netpol.istio.backends import Backend
from istio_netpol.istio.consent import consents
from istio_netpol.istio.hbone import reached
from istio_netpol.istio.jwks_urls import HostPort, host_port
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.selection import enforcing_proxies
from istio_netpol.istio.unnamed import unknown
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.mesh import JwtRule, RequestAuthentication, ServiceEntry
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

if TYPE_CHECKING:
    from istio_netpol.istio.mesh_view import MeshView

DISCOVERY_PATH = "/.well-known/openid-configuration"


def outcomes(policy: RequestAuthentication, view: MeshView) -> Iterator[Outcome]:
    """For every rule without inline keys: flows to the host of `jwksUri`, else to the issuer's, which names
    the keys' URL."""
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
    found = False
    for client in _clients(policy, view):
        for wire, is_agreed in _reached(policy, client, place, view):
            found = True
            yield RequiredFlow(
                kind=FlowKind.ISTIOD_TO_JWKS,
                object=policy.ref,
                source=PodsPeer(client),
                destination=wire.peer,
                protocol=wire.protocol,
                port=wire.port,
                reason=_reason(policy, rule),
                consented=is_agreed,
                field=field,
            )
    if not found and _clients(policy, view):
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


def _unusable(policy: RequestAuthentication, rule: JwtRule, field: str) -> Finding:
    if rule.jwks_uri:
        return unknown(
            policy.ref,
            field,
            f"{rule.jwks_uri} is no http or https URL, so no keys can be fetched; correct it",
        )
    return unknown(
        policy.ref,
        field,
        f"the issuer {rule.issuer} is no http or https URL, so its keys can't be discovered and Istio "
        "rejects its tokens; give jwksUri or jwks",
    )


def _clients(policy: RequestAuthentication, view: MeshView) -> tuple[Workload, ...]:
    if view.settings.mesh.remote_jwks:
        return enforcing_proxies(view, policy)
    return view.every_istiod()


def _reached(
    policy: RequestAuthentication, client: Workload, place: HostPort, view: MeshView
) -> Iterator[tuple[Backend, bool]]:
    """What the client connects to, and whether the pods among it have agreed to be called."""
    service = view.resolve_host(place.host, client.namespace)
    if isinstance(service, Service):
        for each in view.backends(service, place.port):
            is_agreed = not isinstance(each.peer, PodsPeer) or consents(
                view, policy.ref, client, each.peer.workload, service
            )
            for wire in reached(view, client, service, each):
                yield wire, is_agreed
    elif isinstance(service, ServiceEntry) and view.settings.mesh.remote_jwks:
        yield from ((each, True) for each in view.entry_backends(service, place.port))
    else:
        yield from ((each, True) for each in view.address_backends(place.host, client.namespace, place.port))


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
        "https://istio.io/latest/docs/reference/commands/pilot-discovery/ PILOT_JWT_ENABLE_REMOTE_JWKS "
        "(Istio 1.28)",
    ),
    outcomes=outcomes,
)
