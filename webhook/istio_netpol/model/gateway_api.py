"""Gateway API objects (gateway.networking.k8s.io), as far as a flow depends on them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import RequestTest

GATEWAY_API_GROUP = "gateway.networking.k8s.io"


class Listener(Struct, frozen=True):
    """A listener of a Gateway.

    `routes_from` says in which namespaces routes may attach to it: Same, All, None, or Selector, which is
    then `namespaces`. `route_kinds` are empty where the protocol decides; without `hostname` it serves all.
    """

    name: str
    port: int
    protocol: str
    hostname: str = ""
    routes_from: str = "Same"
    namespaces: Selector | None = None
    route_kinds: tuple[str, ...] = ()


class GatewayClass(Struct, frozen=True, eq=False):
    """A class of Gateways: `controller` is `spec.controllerName`, which says whose they are."""

    ref: ObjectRef
    controller: str
    labels: Labels = field(default_factory=dict)


class KubernetesGateway(Struct, frozen=True, eq=False):
    """`addresses` with type Hostname bind the listeners to a Service that someone else deployed.
    `pod_labels` are those of `infrastructure`, None where it has none, and `service_annotations` those of
    its Service. `sets_from` says of which namespaces ListenerSets are admitted: None, Same, All, or Selector,
    which is then `set_namespaces`."""

    ref: ObjectRef
    class_name: str = ""
    listeners: tuple[Listener, ...] = ()
    hostnames: tuple[str, ...] = ()
    labels: Labels = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Labels | None = None
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    sets_from: str = "None"
    set_namespaces: Selector | None = None


class ParentRef(Struct, frozen=True):
    """`namespace` is empty where it is that of the object itself; `kind` is Gateway, ListenerSet, Service,
    ServiceEntry, or one that nobody reads."""

    kind: str
    name: str
    namespace: str = ""
    group: str = GATEWAY_API_GROUP
    section_name: str = ""
    port: int | None = None


class ListenerSet(Struct, frozen=True, eq=False):
    """Listeners that are added to a Gateway: a ListenerSet or an XListenerSet, as `ref.kind` says."""

    ref: ObjectRef
    parent: ParentRef
    listeners: tuple[Listener, ...] = ()


class BackendRef(Struct, frozen=True):
    """A backendRef that gets requests, or the backend of a RequestMirror filter; `field` is its path below
    the object."""

    name: str
    namespace: str = ""
    port: int | None = None
    kind: str = "Service"
    group: str = ""
    field: str = ""


class RouteRule(Struct, frozen=True):
    """One of a route's `rules`, whose backends are those of the route below `field`; one of `tests` has to
    match. `is_answered` says that the proxy answers itself, `rewrites` that what arrives has another path or
    host than what was asked."""

    field: str
    tests: tuple[RequestTest, ...] = ()
    is_answered: bool = False
    rewrites: bool = False


class KubernetesRoute(Struct, frozen=True, eq=False):
    """HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute; `ref.kind` says which."""

    ref: ObjectRef
    parents: tuple[ParentRef, ...] = ()
    backends: tuple[BackendRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[RouteRule, ...] = ()


class GrantFrom(Struct, frozen=True):
    """The kind of objects, and their namespace, that may refer to the grant's namespace."""

    group: str
    kind: str
    namespace: str


class GrantTo(Struct, frozen=True):
    """`name` is empty where every object of the kind is meant."""

    group: str
    kind: str
    name: str = ""


class ReferenceGrant(Struct, frozen=True, eq=False):
    """Consent of a namespace to references from others."""

    ref: ObjectRef
    froms: tuple[GrantFrom, ...] = ()
    tos: tuple[GrantTo, ...] = ()
