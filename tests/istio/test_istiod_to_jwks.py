"""RequestAuthentication: who fetches the keys, and from where."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import findings, first_flow, flows, injected, istiod, listening, ref, service

from istio_netpol.istio.rules.istiod_to_jwks import RULE, HostPort, host_port
from istio_netpol.model.istio_networking import ServiceEntry, ServiceEntryPort, WorkloadEndpoint
from istio_netpol.model.istio_security import JwtRule, RequestAuthentication
from istio_netpol.model.settings import AdmissionSettings, MeshSettings, Settings

ISSUER = "https://issuer.example.com"
REMOTE = Settings(mesh=MeshSettings(remote_jwks=True))
KEYCLOAK = (service("auth/keycloak", (80, 8080)), listening("auth/keycloak", 8080))


def policy(*rules: JwtRule, **fields: Any) -> RequestAuthentication:
    return RequestAuthentication(ref("RequestAuthentication", "shop/jwt"), jwt_rules=rules, **fields)


def keys(uri: str) -> JwtRule:
    return JwtRule(ISSUER, uri, field="spec.jwtRules[0]")


def test_istiod_fetches_from_the_host_of_the_url() -> None:
    """The host is left unresolved; the port is that of the scheme."""
    subject = policy(keys("https://keys.example.com/jwks"))
    assert flows(RULE, subject, istiod()) == ["istio-system/istiod -> keys.example.com TCP 443"]


def test_explicit_port_and_http_count() -> None:
    """A port in the URL goes before the one of the scheme."""
    assert flows(RULE, policy(keys("https://keys.example.com:8443/jwks")), istiod()) == [
        "istio-system/istiod -> keys.example.com TCP 8443"
    ]
    assert flows(RULE, policy(keys("http://keys.example.com/jwks")), istiod()) == [
        "istio-system/istiod -> keys.example.com TCP 80"
    ]


def test_flow_says_why_and_where() -> None:
    """The flow carries the path of the URL and a reason."""
    flow = first_flow(RULE, policy(keys("https://keys.example.com/jwks")), istiod())
    assert flow.field == "spec.jwtRules[0].jwksUri"
    assert flow.reason == (
        "RequestAuthentication shop/jwt takes the keys of issuer https://issuer.example.com "
        "from https://keys.example.com/jwks"
    )


def test_address_in_the_url_is_an_address_peer() -> None:
    """An IP address needs no resolution."""
    assert flows(RULE, policy(keys("https://192.0.2.7/jwks")), istiod()) == [
        "istio-system/istiod -> 192.0.2.7/32 TCP 443"
    ]
    assert flows(RULE, policy(keys("https://[2001:db8::7]/jwks")), istiod()) == [
        "istio-system/istiod -> 2001:db8::7/128 TCP 443"
    ]


def test_inline_keys_need_nothing() -> None:
    """Where the keys are given, nobody fetches any."""
    subject = policy(JwtRule(ISSUER, has_inline_jwks=True, field="spec.jwtRules[0]"))
    assert flows(RULE, subject, istiod()) == []
    assert findings(RULE, subject, istiod()) == []


def test_every_istiod_fetches() -> None:
    """Each revision's istiod acts on the object."""
    canary = replace(istiod("istio-canary"), labels={"app": "istiod", "istio.io/rev": "canary"})
    trusting = Settings(admission=AdmissionSettings(trusted_namespaces=("istio-canary",)))
    subject = policy(keys("https://keys.example.com"))
    assert flows(RULE, subject, istiod(), canary, settings=trusting) == [
        "istio-canary/istiod -> keys.example.com TCP 443",
        "istio-system/istiod -> keys.example.com TCP 443",
    ]


def test_issuer_is_asked_where_no_url_is_given() -> None:
    """Without jwksUri istiod reads the issuer's discovery document, which may name another host."""
    subject = policy(JwtRule(ISSUER, field="spec.jwtRules[0]"))
    assert flows(RULE, subject, istiod()) == ["istio-system/istiod -> issuer.example.com TCP 443"]
    assert first_flow(RULE, subject, istiod()).reason == (
        "RequestAuthentication shop/jwt names no keys for issuer https://issuer.example.com, so they are "
        "looked up "
        "under its /.well-known/openid-configuration"
    )
    assert findings(RULE, subject, istiod()) == [
        "unknown-destination info: RequestAuthentication shop/jwt: spec.jwtRules[0].issuer: the answer of "
        "https://issuer.example.com/.well-known/openid-configuration may name another host for the keys; "
        "give jwksUri to make this exact"
    ]


def test_issuer_that_is_no_url_is_told() -> None:
    """An e-mail address as issuer has no discovery document."""
    subject = policy(JwtRule("accounts@example.com", field="spec.jwtRules[0]"))
    assert flows(RULE, subject, istiod()) == []
    assert findings(RULE, subject, istiod()) == [
        "unknown-destination warning: RequestAuthentication shop/jwt: spec.jwtRules[0].issuer: the issuer "
        "accounts@example.com is not an http or https URL, so its keys can't be discovered and Istio rejects "
        "its tokens; "
        "give jwksUri or jwks"
    ]


def test_bad_url_is_told() -> None:
    """A jwksUri that can't be fetched is a warning."""
    assert findings(RULE, policy(keys("keys.example.com/jwks")), istiod()) == [
        "unknown-destination warning: RequestAuthentication shop/jwt: spec.jwtRules[0].jwksUri: "
        "keys.example.com/jwks "
        "is not an http or https URL, so no keys can be fetched; correct it"
    ]


def test_service_of_the_cluster_becomes_its_pods() -> None:
    """A host that is a Service leads to its pods' port."""
    for host in ("keycloak.auth", "keycloak.auth.svc", "keycloak.auth.svc.cluster.local"):
        found = flows(RULE, policy(keys(f"http://{host}/certs")), istiod(), *KEYCLOAK)
        assert found == ["istio-system/istiod -> auth/keycloak TCP 8080"]


def test_short_name_resolves_where_istiod_runs() -> None:
    """istiod's own search path decides what a bare name means, not the object's namespace."""
    others = (
        service("istio-system/dex", (80, 5556)),
        listening("istio-system/dex", 5556),
        service("shop/dex"),
        listening("shop/dex", 80),
    )
    assert flows(RULE, policy(keys("http://dex/keys")), istiod(), *others) == [
        "istio-system/istiod -> istio-system/dex TCP 5556"
    ]


def test_missing_service_is_told() -> None:
    """A name of the cluster that nothing answers is a warning."""
    assert findings(RULE, policy(keys("http://keycloak.auth.svc.cluster.local/certs")), istiod()) == [
        "unknown-destination warning: RequestAuthentication shop/jwt: spec.jwtRules[0].jwksUri: nothing of "
        "the cluster "
        "answers at keycloak.auth.svc.cluster.local port 80; correct it, or add the Service to the input"
    ]


def test_service_entry_says_nothing_about_istiod() -> None:
    """istiod has no sidecar, so the addresses of a ServiceEntry are not its own."""
    entry = ServiceEntry(
        ref("ServiceEntry", "istio-system/keys"),
        ("keys.example.com",),
        ports=(ServiceEntryPort(443),),
        resolution="STATIC",
        endpoints=(WorkloadEndpoint("192.0.2.9"),),
    )
    subject = policy(keys("https://keys.example.com"))
    assert flows(RULE, subject, istiod(), entry) == ["istio-system/istiod -> keys.example.com TCP 443"]
    proxied = flows(
        RULE, subject, istiod(), entry, injected("shop"), listening("shop/cart", 80), settings=REMOTE
    )
    assert proxied == ["shop/cart -> 192.0.2.9/32 TCP 443"]


CLIENTS = (istiod(), injected("shop"), listening("shop/cart", 80), listening("shop/web", 80))


def test_proxies_fetch_where_the_mesh_says_so() -> None:
    """With remote JWKS the selected proxies are the source, for hosts that Istio knows."""
    subject = policy(keys("http://keycloak.auth.svc.cluster.local/certs"), selector={"app": "cart"})
    found = flows(RULE, subject, *CLIENTS, *KEYCLOAK, settings=REMOTE)
    assert found == ["shop/cart -> auth/keycloak TCP 8080"]


@pytest.mark.parametrize(
    ("value", "fetches"), [("true", "cart"), ("hybrid", "cart"), ("envoy", "cart"), ("false", "istiod")]
)
def test_istiod_says_who_fetches(value: str, fetches: str) -> None:
    """The switch is read from istiod's own Deployment."""
    subject = policy(keys("http://keycloak.auth.svc.cluster.local/certs"), selector={"app": "cart"})
    switched = replace(istiod(), switches={"PILOT_JWT_ENABLE_REMOTE_JWKS": value})
    found = flows(RULE, subject, switched, *CLIENTS[1:], *KEYCLOAK)
    assert [line.partition(" ")[0].rpartition("/")[2] for line in found] == [fetches]


def test_headless_provider_is_reached_on_the_port_of_the_url() -> None:
    """Nothing translates ports behind a headless Service."""
    subject = policy(keys("http://keycloak.auth.svc.cluster.local:8080/certs"))
    headless = replace(KEYCLOAK[0], cluster_ips=("None",))
    found = flows(RULE, subject, istiod(), headless, KEYCLOAK[1])
    assert found == ["istio-system/istiod -> auth/keycloak TCP 8080"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("keys.example.com", "keys.example.com TCP 80"), ("keycloak.auth", "auth/keycloak TCP 8080")],
)
def test_istiod_fetches_what_the_mesh_does_not_know(host: str, expected: str) -> None:
    """A host of the outside, or a name that only DNS completes, stays with istiod."""
    subject = policy(keys(f"http://{host}/certs"), selector={"app": "cart"})
    found = flows(RULE, subject, *CLIENTS, *KEYCLOAK, settings=REMOTE)
    assert found == [f"istio-system/istiod -> {expected}"]


def test_issuers_are_asked_by_istiod_alone() -> None:
    """Envoy fetches keys, it does not read discovery documents."""
    subject = policy(JwtRule("http://keycloak.auth.svc.cluster.local", field="spec.jwtRules[0]"))
    found = flows(RULE, subject, *CLIENTS, *KEYCLOAK, settings=REMOTE)
    assert found == ["istio-system/istiod -> auth/keycloak TCP 8080"]


@pytest.mark.parametrize(
    ("called_by", "home", "expected"),
    [
        ("", "shop", False),
        ("shop/*", "shop", False),
        ("istio-system/istiod", "shop", True),
        ("", "istio-system", True),
        ("", "auth", True),
    ],
)
def test_identity_provider_of_another_namespace_agrees(called_by: str, home: str, expected: bool) -> None:
    """A tenant can't send istiod to a Service of somebody else."""
    subject = replace(
        policy(keys("http://keycloak.auth.svc.cluster.local/certs")),
        ref=ref("RequestAuthentication", f"{home}/jwt"),
    )
    provider = replace(KEYCLOAK[1], called_by=called_by)
    assert (
        first_flow(RULE, subject, istiod(), KEYCLOAK[0], provider).agreement.ingress is not None
    ) is expected


def test_no_selected_proxy_is_no_problem() -> None:
    """Where nobody fetches, nothing is missing."""
    subject = policy(keys("http://gone.auth.svc.cluster.local/certs"), selector={"app": "cart"})
    assert findings(RULE, subject, istiod(), service("auth/gone"), settings=REMOTE) == []


def test_keys_in_another_namespace_need_its_consent() -> None:
    """Nobody has istiod call the pods of others; `called-by` is their word for it."""
    url = keys("http://idp.auth.svc.cluster.local/keys")
    behind = service("auth/idp", (80, 8080))
    silent = first_flow(RULE, policy(url), istiod(), listening("auth/idp", 8080), behind)
    agreeing = listening("auth/idp", 8080, called_by="istio-system/istiod")
    asked = first_flow(RULE, policy(url), istiod(), agreeing, behind)
    assert (silent.agreement.ingress is None, asked.agreement.ingress is None) == (True, False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/jwks", HostPort("example.com", 443)),
        ("http://example.com", HostPort("example.com", 80)),
        ("HTTPS://Example.COM./jwks", HostPort("example.com", 443)),
        ("https://example.com:8443/jwks", HostPort("example.com", 8443)),
        ("https://user:secret@example.com/jwks", HostPort("example.com", 443)),
        ("https://[2001:db8::1]:8443/jwks", HostPort("2001:db8::1", 8443)),
        ("https://192.0.2.7/jwks", HostPort("192.0.2.7", 443)),
        (" https://example.com ", HostPort("example.com", 443)),
    ],
)
def test_url_names_host_and_port(url: str, expected: HostPort) -> None:
    """The port is the explicit one, else that of the scheme."""
    assert host_port(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "accounts@example.com",
        "example.com/jwks",
        "ftp://example.com",
        "https://",
        "https:///jwks",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:port",
        "https://[2001:db8::1/jwks",
        "https://exa mple.com/",
    ],
)
def test_other_text_is_no_url(url: str) -> None:
    """What cannot be fetched over http or https has no host."""
    assert host_port(url) is None
