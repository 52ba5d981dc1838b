"""What is seen where keys, authorizers, modules and telemetry are out of reach."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms import logged
from istio_netpol.symptoms.elsewhere import FETCHED_KEYS
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

_KEYS = (
    FlowKind.ISTIOD_TO_JWKS,
    FlowKind.DNS,
)
KEYS = (
    Symptom(
        "unauthorized",
        Topic.TOKENS,
        ("401 Unauthorized",),
        Blame.POSSIBLE,
        _KEYS,
        "A token was refused, and nothing here says why.",
        "The body of the answer tells: `Jwt verification fails` may be for want of keys, `Jwt is "
        "expired` is not.",
        words(r"^(?:< )?HTTP/[\d.]{1,3} 401(?: |$)|^\W{0,8}401(?: Unauthorized)?\W{0,8}$"),
        ("401",),
        is_vague=True,
    ),
    Symptom(
        "keys-not-fetched",
        Topic.TOKENS,
        (
            'Failed to fetch public key from jwks URI "https://idp.example.com/jwks": Get '
            '"https://idp.example.com/jwks": context deadline exceeded',
            "Failed to fetch public key",
            "JWKS fetch failed for issuer https://idp.example.com (https://idp.example.com/jwks)",
        ),
        Blame.LIKELY,
        _KEYS,
        "istiod could not fetch the keys that validate tokens.",
        "`context deadline exceeded` and `i/o timeout` are silence, `connection refused` a plugin that "
        "rejects "
        "or a provider that is down. Keys that were fetched stay for days, so this begins with a restart.",
        words(
            rf"{FETCHED_KEYS}|Failed to fetch (?:jwt )?public key|Failed to get jwks|JWKS fetch "
            rf"failed for issuer "
            rf"\S{{1,300}} "
            r"\((?P<url2>[^)\s]{1,500})\)|Failed to GET from \\?\"(?P<url3>[^\"\\]{1,500})"
        ),
        ("failed to ", "jwks fetch failed"),
    ),
    Symptom(
        "keys-remote",
        Topic.TOKENS,
        ("Jwks remote fetch is failed",),
        Blame.LIKELY,
        _KEYS,
        "The proxy fetches the keys itself (PILOT_JWT_ENABLE_REMOTE_JWKS) and could not: its own egress "
        "counts.",
        "An error status of the provider and a TLS mismatch look the same.",
        words(r"Jwks[ _]remote[ _]fetch[ _](?:is[ _])?failed"),
        ("jwks remote fetch", "jwks_remote_fetch"),
        logged.says("remote_fetch"),
    ),
    Symptom(
        "keys-missing",
        Topic.TOKENS,
        ("Jwks doesn't have key to match kid or alg from Jwt",),
        Blame.POSSIBLE,
        _KEYS,
        "The proxy has no key for this token.",
        "An istiod before March 2026 hands out a placeholder where it could not fetch (kid `abc`). Else the "
        "provider has new keys, or the token is another provider's.",
        words(r"Jwks[ _]doesn'?t[ _]have[ _]key"),
        ("have key", "have_key"),
        logged.says("have_key"),
    ),
    Symptom(
        "keys-wrong",
        Topic.TOKENS,
        ("Jwt verification fails",),
        Blame.POSSIBLE,
        _KEYS,
        "The token's signature does not fit the key that the proxy has.",
        "Where istiod could not fetch the keys, it hands out one that fits nothing: in `istioctl "
        "proxy-config` "
        "its `n` begins with `0xObjM0UvS`. A wrong signature reads the same.",
        words(r"Jwt[ _]verification[ _]fail"),
        ("jwt verification fail", "jwt_verification_fail"),
        logged.says("verification_fail"),
    ),
)

SERVICES = (
    Symptom(
        "authorizer-not-reached",
        Topic.TELEMETRY,
        ("403 UAEX ext_authz_error",),
        Blame.LIKELY,
        (FlowKind.EXT_AUTHZ,),
        "The external authorizer did not answer, and authorization fails closed: 403 with an empty body.",
        "A duration near the connect timeout is silence; 0 ms a refusal, or an authorizer that answered 5xx.",
        words(r"ext_authz_error"),
        ("ext_authz_error",),
        logged.says("ext_authz_error"),
    ),
    Symptom(
        "authorizer-refused",
        Topic.TELEMETRY,
        ("403 UAEX",),
        Blame.POSSIBLE,
        (FlowKind.EXT_AUTHZ,),
        "External authorization refused the request.",
        "The details tell: `ext_authz_error` says that the authorizer was not reached, `ext_authz_denied` is "
        "its answer.",
        None,
        (),
        logged.flagged("UAEX"),
    ),
    Symptom(
        "rate-limiter-not-reached",
        Topic.TELEMETRY,
        ("500 RLSE rate_limiter_error",),
        Blame.LIKELY,
        (FlowKind.WORKLOAD_TO_WORKLOAD,),
        "The rate limit service did not answer, and the limit fails closed.",
        "The service itself may be down.",
        words(r"\bRLSE\b|rate_limiter_error"),
        ("rlse", "rate_limiter_error"),
        logged.flagged("RLSE"),
    ),
    Symptom(
        "module-not-fetched",
        Topic.TELEMETRY,
        (
            "error in converting the wasm config to local: cannot fetch Wasm module "
            "oci://registry.example.com/w:v1: "
            "could not fetch Wasm OCI image: i/o timeout. applying deny RBAC filter",
        ),
        Blame.LIKELY,
        (FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.DNS),
        "The pod's own agent could not fetch the module of a WasmPlugin. With `applying deny RBAC "
        "filter` every "
        "request gets 403 `RBAC: access denied`.",
        "A wrong name, a missing pull secret and a registry that is down have their own words in the line.",
        words(
            r"cannot fetch Wasm module (?P<url>[^\s:]{1,20}://\S{1,500}?):? |error in converting "
            r"the wasm config to local"
        ),
        ("wasm module", "wasm config"),
    ),
    Symptom(
        "spans-dropped",
        Topic.TELEMETRY,
        (
            "tracing.zipkin.reports_dropped: 1",
            "access_logs.grpc_access_log.logs_dropped: 3",
        ),
        Blame.LIKELY,
        (FlowKind.TRACING,),
        "The collector of spans or access logs is not reached. Envoy logs nothing, and requests succeed.",
        "`opentelemetry.spans_sent` counts even where nothing arrives. No sampling and a wrong provider look "
        "the same.",
        words(
            r"tracing\.(?:zipkin\.reports_dropped|opentelemetry\.\w{0,40}drop\w{0,40}): [1-9]"
            r"|access_logs\.\S{0,80}logs_dropped: [1-9]"
            r"|(?:zipkin|otel|opentelemetry|jaeger|tempo|4317|4318|9411)\S{0,300}::cx_connect_fail::[1-9]"
        ),
        ("_dropped: ", "drop", "cx_connect_fail::"),
    ),
    Symptom(
        "scrape-failed",
        Topic.TELEMETRY,
        ('Get "http://10.1.2.3:15020/stats/prometheus": context deadline exceeded',),
        Blame.LIKELY,
        (FlowKind.SCRAPE,),
        "Prometheus did not reach the metrics of the pod.",
        "`connection refused`: a plugin that rejects, or a proxy without configuration. `EOF` and "
        "`connection "
        "reset`: STRICT mTLS.",
        words(
            r'Get \\?"https?://(?P<address>[0-9a-f.:\[\]]{2,60}?):(?P<port>15020|15090|15014)/'
            r'(?:stats/prometheus|metrics)\\?": (?:context deadline exceeded|dial tcp )'
        ),
        (":15020/", ":15090/", ":15014/"),
    ),
    Symptom(
        "connects-failed",
        Topic.ANSWERS,
        ("outbound_.8080_._.cart.shop.svc.cluster.local::10.1.2.3:8080::cx_connect_fail::3",),
        Blame.POSSIBLE,
        (
            FlowKind.GATEWAY_TO_WORKLOAD,
            FlowKind.WORKLOAD_TO_WORKLOAD,
            FlowKind.WORKLOAD_TO_EXTERNAL,
            FlowKind.EXT_AUTHZ,
            FlowKind.TRACING,
        ),
        "The proxy counted connections that failed (`pilot-agent request GET clusters`).",
        "With `rq_success::0` for the same host it was never connected.",
        words(
            r"(?P<cluster>(?:outbound|inbound)(?:\||_\.)\S{1,300}?)::(?P<address>[0-9a-f.:\[\]]{2,60}?):(?P<port>\d{1,5})"
            r"::cx_connect_fail::[1-9]"
            r"|upstream_cx_connect_(?:fail"
            r"|timeout)\{[^}]{0,400}cluster_name=\"(?P<cluster2>[^\"]{1,300})\"[^}]{0,400}\} [1-9]"
            r"|cluster\.(?P<cluster3>\S{1,300}?)\.upstream_cx_connect_(?:fail|timeout): [1-9]"
        ),
        ("cx_connect_fail", "cx_connect_timeout"),
    ),
)
