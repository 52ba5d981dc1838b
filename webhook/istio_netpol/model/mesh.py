"""Istio's own objects, as far as a flow depends on them. Field names follow the Istio 1.32 API reference."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from istio_netpol.model.labels import Labels
from istio_netpol.model.mutual_tls import SAYS_NOTHING, ClientTls
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import ANY_REQUEST_AT_ALL, RequestTest


class TargetRef(Struct, frozen=True):
    """One entry of `targetRefs`, or a policy's `targetRef`."""

    group: str
    kind: str
    name: str
    namespace: str = ""


class Destination(Struct, frozen=True):
    """Where a route sends traffic; `field` is the path below the object at which it stands."""

    host: str
    port: int | None = None
    subset: str = ""
    field: str = ""


class RouteMatch(Struct, frozen=True):
    """One entry of a route's `match`; what is empty or 0 matches anything. `is_partial` says that it matches
    by something of the request besides, such as a path or a header, and `request` by what."""

    gateways: tuple[str, ...] = ()
    port: int = 0
    sni_hosts: tuple[str, ...] = ()
    source_namespace: str = ""
    source_labels: tuple[tuple[str, str], ...] = ()
    is_partial: bool = False
    request: RequestTest = ANY_REQUEST_AT_ALL


class Route(Struct, frozen=True):
    """One http, tls or tcp route, its mirrors among its destinations, those left out that get no traffic.
    `gateways` are those of its matches, if they name any. `is_answered` says that the proxy answers itself,
    by a redirect for example, `rewrites` that what arrives has another path or host than what was asked."""

    protocol: str
    destinations: tuple[Destination, ...] = ()
    gateways: tuple[str, ...] = ()
    delegate: tuple[str, str] | None = None
    matches: tuple[RouteMatch, ...] = ()
    is_answered: bool = False
    rewrites: bool = False


class VirtualService(Struct, frozen=True, eq=False):
    """`gateways` as written; absent means `mesh`. A delegate has no hosts."""

    ref: ObjectRef
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    export_to: tuple[str, ...] = ()


class GatewayServer(Struct, frozen=True):
    """One `servers` entry; `target_port` is 0 where absent."""

    port: int
    protocol: str
    name: str = ""
    target_port: int = 0
    hosts: tuple[str, ...] = ()
    tls_mode: str = ""


class Gateway(Struct, frozen=True, eq=False):
    """networking.istio.io Gateway; its selector matches pods in any namespace unless istiod is told to
    scope it."""

    ref: ObjectRef
    selector: Mapping[str, str] = field(default_factory=dict)
    servers: tuple[GatewayServer, ...] = ()


class DestinationRule(Struct, frozen=True, eq=False):
    """The subsets of a host, named sets of pod labels, and how clients speak TLS to it: `subset_tls` are the
    settings of the subsets that have some. `workload_selector` is None where it holds for every client that
    sees it."""

    ref: ObjectRef
    host: str
    subsets: Mapping[str, Labels] = field(default_factory=dict)
    tls: ClientTls = SAYS_NOTHING
    subset_tls: Mapping[str, ClientTls] = field(default_factory=dict)
    workload_selector: Mapping[str, str] | None = None
    export_to: tuple[str, ...] = ()


class ServiceEntryPort(Struct, frozen=True):
    """A port of a ServiceEntry; `target_port` is 0 where absent."""

    number: int
    protocol: str = "TCP"
    name: str = ""
    target_port: int = 0


class WorkloadEndpoint(Struct, frozen=True):
    """An `endpoints` entry of a ServiceEntry, or a WorkloadEntry: an IP address, or a DNS name under
    resolution DNS."""

    address: str
    ports: Mapping[str, int] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)


class ServiceEntry(Struct, frozen=True, eq=False):
    """`resolution` is NONE, STATIC, DNS, DNS_ROUND_ROBIN or DYNAMIC_DNS; `location` MESH_EXTERNAL or
    MESH_INTERNAL."""

    ref: ObjectRef
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServiceEntryPort, ...] = ()
    location: str = "MESH_EXTERNAL"
    resolution: str = "NONE"
    endpoints: tuple[WorkloadEndpoint, ...] = ()
    workload_selector: Mapping[str, str] | None = None
    export_to: tuple[str, ...] = ()
    labels: Labels = field(default_factory=dict)

    @property
    def has_virtual_ip(self) -> bool:
        """Whether ztunnel knows connections to it by their address: its own, or one that istiod allots to
        hosts that are looked up (`ShouldV2AutoAllocateIP` in `pilot/pkg/networking/serviceentry`, Istio
        1.31)."""
        is_allotted = self.labels.get("networking.istio.io/enable-autoallocate-ip", "").lower() != "false"
        return bool(self.addresses) or (self.resolution != "NONE" and is_allotted)


class WorkloadEntry(Struct, frozen=True, eq=False):
    """A workload outside Kubernetes, by its own address."""

    ref: ObjectRef
    endpoint: WorkloadEndpoint


class SidecarEgress(Struct, frozen=True):
    """`hosts` entries are `namespace/dnsName`; `port` is 0 where the listener names none."""

    hosts: tuple[str, ...]
    port: int = 0


class Sidecar(Struct, frozen=True, eq=False):
    """`workload_selector` is None for a Sidecar that holds for its namespace. `outbound_policy` says how
    proxies treat hosts that it does not let in: ALLOW_ANY, REGISTRY_ONLY, empty where it does not say."""

    ref: ObjectRef
    workload_selector: Mapping[str, str] | None = None
    egress: tuple[SidecarEgress, ...] = ()
    outbound_policy: str = ""


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


"""Istio port protocols that are not carried by TCP."""
