"""Istio's networking objects (networking.istio.io), as far as a flow depends on them. Field names follow the
Istio 1.32 API reference."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef, TargetRef
from istio_netpol.model.request_matching import ANY_REQUEST_AT_ALL, RequestTest


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


class ClientTlsMode(StrEnum):
    """What a client's proxy sends by a DestinationRule."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTls(Struct, frozen=True):
    """The TLS settings of one traffic policy; `mode` is None where it says nothing, `ports` are those of
    single ports of the Service."""

    mode: ClientTlsMode | None = None
    ports: tuple[tuple[int, ClientTlsMode], ...] = ()

    def on(self, port: int) -> ClientTlsMode | None:
        """The mode for a port of the Service."""
        return next((mode for number, mode in self.ports if number == port), self.mode)


SAYS_NOTHING = ClientTls()


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


class FilterPurpose(StrEnum):
    """What a patched proxy connects for."""

    AUTHORIZATION = "authorization"
    LOGS = "logs"
    OTHER = "other"


class FilterTarget(Struct, frozen=True):
    """Where a patch sends proxies: `host` and `port` of a cluster that Istio makes, or, where `is_address`,
    of an endpoint that the patch brings along. `context` is the patch's, `field` its place below the
    object."""

    host: str
    port: int
    subset: str
    purpose: FilterPurpose
    context: str
    field: str
    is_address: bool = False


class EnvoyFilter(Struct, frozen=True, eq=False):
    """`selector` is None for one that holds for its namespace, or from the root namespace for the mesh."""

    ref: ObjectRef
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    targets: tuple[FilterTarget, ...] = ()
