"""Decodes Gateway API objects (gateway.networking.k8s.io)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from istio_netpol.manifests.decode_core import required_port
from istio_netpol.manifests.decode_selectors import selector_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.gateway_api import (
    GATEWAY_API_GROUP,
    BackendRef,
    GatewayClass,
    GrantFrom,
    GrantTo,
    KubernetesGateway,
    KubernetesRoute,
    Listener,
    ListenerSet,
    ParentRef,
    ReferenceGrant,
    RouteRule,
)
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import RequestTest, TextKind, TextMatch


def decode_gateway_class(fields: Fields, ref: ObjectRef) -> Iterator[GatewayClass]:
    """A GatewayClass."""
    controller = fields.mapping("spec").text("controllerName")
    yield GatewayClass(ref, controller, fields.mapping("metadata").strings("labels"))


def decode_kubernetes_gateway(fields: Fields, ref: ObjectRef) -> Iterator[KubernetesGateway]:
    """A Gateway API gateway or waypoint."""
    metadata, spec = fields.mapping("metadata"), fields.mapping("spec")
    infrastructure = spec.mapping("infrastructure")
    admitted = spec.mapping("allowedListeners").mapping("namespaces")
    annotations = metadata.strings("annotations")
    hostnames = [
        address.text("value") for address in spec.mappings("addresses") if address.text("type") == "Hostname"
    ]
    yield KubernetesGateway(
        ref=ref,
        class_name=spec.text("gatewayClassName"),
        listeners=tuple(_listener(listener) for listener in spec.mappings("listeners")),
        hostnames=tuple(hostnames),
        labels=metadata.strings("labels"),
        annotations=annotations,
        service_annotations=infrastructure.strings("annotations")
        if infrastructure.has("annotations")
        else annotations,
        pod_labels=infrastructure.strings("labels") if infrastructure.has("labels") else None,
        sets_from=admitted.text("from", "None"),
        set_namespaces=_selector(admitted),
    )


def decode_listener_set(fields: Fields, ref: ObjectRef) -> Iterator[ListenerSet]:
    """A ListenerSet, or an XListenerSet of the experimental group, whose listeners may leave out the port of
    their protocol."""
    spec = fields.mapping("spec")
    listeners = tuple(_listener(listener, default_port=True) for listener in spec.mappings("listeners"))
    yield ListenerSet(ref, _parent(spec.mapping("parentRef")), listeners)


_DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}
"""`ListenerEntryPortNumber` in `pilot/pkg/config/kube/gatewaycommon/gateway_utils.go`, Istio 1.31."""


def _listener(fields: Fields, *, default_port: bool = False) -> Listener:
    """A listener; the API server lets routes of the listener's own namespace attach where it does not say."""
    allowed = fields.mapping("allowedRoutes")
    namespaces = allowed.mapping("namespaces")
    port = _DEFAULT_PORTS.get(fields.text("protocol")) if default_port else None
    return Listener(
        name=fields.text("name"),
        port=port if port and fields.content.get("port") in (None, 0) else required_port(fields, "port"),
        protocol=fields.text("protocol"),
        hostname=fields.text("hostname"),
        routes_from=namespaces.text("from", "Same"),
        namespaces=_selector(namespaces),
        route_kinds=tuple(route_kind.text("kind") for route_kind in allowed.mappings("kinds")),
    )


def _selector(namespaces: Fields) -> Selector | None:
    return selector_of(namespaces.mapping("selector")) if namespaces.has("selector") else None


def decode_route(fields: Fields, ref: ObjectRef) -> Iterator[KubernetesRoute]:
    """HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, UDPRoute."""
    spec = fields.mapping("spec")
    rules = list(spec.mappings("rules"))
    backends = [backend for rule in rules for backend in _backends(rule)]
    parents = tuple(_parent(reference) for reference in spec.mappings("parentRefs"))
    read = tuple(_rule(rule) for rule in rules)
    yield KubernetesRoute(ref, parents, tuple(backends), spec.texts("hostnames"), read)


_PATH_KINDS = {
    "PathPrefix": TextKind.ELEMENTS,
    "Exact": TextKind.EXACT,
    "RegularExpression": TextKind.REGEX,
}


def _rule(fields: Fields) -> RouteRule:
    filters = [entry.text("type") for entry in fields.mappings("filters")]
    return RouteRule(
        fields.path,
        tuple(_test(match) for match in fields.mappings("matches")),
        "RequestRedirect" in filters,
        "URLRewrite" in filters,
    )


def _test(match: Fields) -> RequestTest:
    """A match of an HTTPRoute or a GRPCRoute, whose method is a path (`createURIMatch` and
    `createGRPCURIMatch` in `pilot/pkg/config/kube/gateway/conversion.go`, Istio 1.31)."""
    others = tuple(sorted(name for name in match.content if match.has(name) and name != "path"))
    if isinstance(match.content.get("method"), dict):
        return RequestTest(_grpc_path(match.mapping("method")), others=_without(others, "method"))
    path = match.mapping("path")
    kind = _PATH_KINDS.get(path.text("type", "PathPrefix"), TextKind.ANY)
    value = path.text("value", "/")
    is_prefix = kind is TextKind.ELEMENTS and value != "/"
    return RequestTest(TextMatch(kind, value.removesuffix("/") if is_prefix else value), others=others)


def _grpc_path(method: Fields) -> TextMatch:
    """The path of a gRPC call is `/service/method`."""
    service, name = method.text("service"), method.text("method")
    if method.text("type", "Exact") != "Exact":
        return TextMatch(TextKind.REGEX, f"/{service or '[^/]+'}/{name or '[^/]+'}")
    if service and name:
        return TextMatch(TextKind.EXACT, f"/{service}/{name}")
    if service:
        return TextMatch(TextKind.PREFIX, f"/{service}/")
    return TextMatch(TextKind.REGEX, f"/[^/]+/{re.escape(name)}")


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)


def _parent(fields: Fields) -> ParentRef:
    return ParentRef(
        kind=fields.text("kind", "Gateway"),
        name=fields.text("name"),
        namespace=fields.text("namespace"),
        group=fields.text("group", GATEWAY_API_GROUP),
        section_name=fields.text("sectionName"),
        port=required_port(fields, "port") if fields.has("port") else None,
    )


def _backends(rule: Fields) -> Iterator[BackendRef]:
    yield from _mirrors(rule)
    for entry in rule.mappings("backendRefs"):
        # "If weight is set to 0, no traffic should be forwarded for this entry."
        if entry.integer("weight", 1) != 0:
            yield _backend(entry)
            yield from _mirrors(entry)


def _mirrors(fields: Fields) -> Iterator[BackendRef]:
    for entry in fields.mappings("filters"):
        if entry.text("type") == "RequestMirror":
            yield _backend(entry.mapping("requestMirror").mapping("backendRef"))


def _backend(fields: Fields) -> BackendRef:
    return BackendRef(
        name=fields.text("name"),
        namespace=fields.text("namespace"),
        port=required_port(fields, "port") if fields.has("port") else None,
        kind=fields.text("kind", "Service"),
        group=fields.text("group"),
        field=fields.path,
    )


def decode_reference_grant(fields: Fields, ref: ObjectRef) -> Iterator[ReferenceGrant]:
    """A ReferenceGrant."""
    spec = fields.mapping("spec")
    froms = (
        GrantFrom(entry.text("group"), entry.text("kind"), entry.text("namespace"))
        for entry in spec.mappings("from")
    )
    tos = (
        GrantTo(entry.text("group"), entry.text("kind"), entry.text("name")) for entry in spec.mappings("to")
    )
    yield ReferenceGrant(ref, tuple(froms), tuple(tos))
