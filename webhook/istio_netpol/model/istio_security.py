"""Istio's objects of security, telemetry and extension (security.istio.io, telemetry.istio.io,
extensions.istio.io), as far as a flow depends on them. Field names follow the Istio 1.32 API reference."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.model.references import ObjectRef, TargetRef


class JwtRule(Struct, frozen=True):
    """One issuer, and where its keys are; `field` is its path below the object."""

    issuer: str
    jwks_uri: str = ""
    has_inline_jwks: bool = False
    field: str = ""


class RequestAuthentication(Struct, frozen=True, eq=False):
    """The tokens that the selected workloads accept."""

    ref: ObjectRef
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    jwt_rules: tuple[JwtRule, ...] = ()


class AuthorizationSource(Struct, frozen=True):
    """One `from.source`; every list that is present must match, and none of the `not_` lists.
    `service_accounts` entries are `[namespace/]name`. `others` are the fields that are present besides."""

    principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class RequestMatch(Struct, frozen=True):
    """What a `to.operation` asks of an HTTP request; a list that is empty asks nothing."""

    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


ANY_REQUEST = RequestMatch()


class PortMatch(Struct, frozen=True):
    """`ports` empty: all but `not_ports`. `request` is what it asks besides."""

    ports: tuple[int, ...] = ()
    not_ports: tuple[int, ...] = ()
    request: RequestMatch = ANY_REQUEST

    def admits(self, port: int) -> bool:
        return (not self.ports or port in self.ports) and port not in self.not_ports


class AuthorizationRule(Struct, frozen=True):
    """`sources` empty: any source. One of `operations` (`to.operation`) must match, and every one of
    `conditions` (`when` with key `destination.port`); both empty: any port. `others` are the keys of the
    conditions that are not among these, all of which have to hold too."""

    sources: tuple[AuthorizationSource, ...] = ()
    operations: tuple[PortMatch, ...] = ()
    conditions: tuple[PortMatch, ...] = ()
    others: tuple[str, ...] = ()


class AuthorizationPolicy(Struct, frozen=True, eq=False):
    """`action` is ALLOW, DENY, AUDIT or CUSTOM; `provider` names the extension provider of CUSTOM. One that
    is on trial (`istio.io/dry-run`) refuses nobody."""

    ref: ObjectRef
    action: str = "ALLOW"
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    rules: tuple[AuthorizationRule, ...] = ()
    provider: str = ""
    is_on_trial: bool = False


class MutualTls(StrEnum):
    """What a PeerAuthentication lets in: STRICT only mutual TLS, PERMISSIVE plaintext too, DISABLE plaintext
    alone. UNSET takes over what the next wider one says."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class PeerAuthentication(Struct, frozen=True, eq=False):
    """`ports` are the modes of single ports of the pods. `created` is when the API server stored it, empty
    where nobody says: the oldest of several counts."""

    ref: ObjectRef
    selector: Mapping[str, str] | None = None
    mode: MutualTls = MutualTls.UNSET
    ports: Mapping[int, MutualTls] = field(default_factory=dict)
    created: str = ""


class Telemetry(Struct, frozen=True, eq=False):
    """`tracing_providers` are the names under `tracing[].providers`; `disables_tracing` is
    `disableSpanReporting` on all. The same for `accessLogging`, whose word is `disabled`."""

    ref: ObjectRef
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    tracing_providers: tuple[str, ...] = ()
    has_tracing: bool = False
    disables_tracing: bool = False
    log_providers: tuple[str, ...] = ()
    has_access_logs: bool = False
    disables_access_logs: bool = False


class ModuleSource(Struct, frozen=True):
    """A host and port from which a Wasm module is fetched."""

    host: str
    port: int


class WasmPlugin(Struct, frozen=True, eq=False):
    """`sources` are empty where the module is a file of the proxy's image, or the URL can't be read.
    `is_open` says that requests pass while the module is missing."""

    ref: ObjectRef
    url: str
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    sources: tuple[ModuleSource, ...] = ()
    is_open: bool = False
