"""Decodes Istio's networking objects (networking.istio.io)."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.manifests.decode_core import port_number, required_port
from istio_netpol.manifests.decode_istio_security import mode_in
from istio_netpol.manifests.decode_selectors import labels_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.istio_networking import (
    ClientTls,
    ClientTlsMode,
    Destination,
    DestinationRule,
    Gateway,
    GatewayServer,
    Route,
    RouteMatch,
    ServiceEntry,
    ServiceEntryPort,
    Sidecar,
    SidecarEgress,
    VirtualService,
    WorkloadEndpoint,
    WorkloadEntry,
)
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import (
    ANY_REQUEST_AT_ALL,
    ANY_TEXT,
    RequestTest,
    TextKind,
    TextMatch,
)


def decode_virtual_service(fields: Fields, ref: ObjectRef) -> Iterator[VirtualService]:
    """A VirtualService, its http, tls and tcp routes in that order."""
    spec = fields.mapping("spec")
    routes = [
        _route(route, protocol) for protocol in ("http", "tls", "tcp") for route in spec.mappings(protocol)
    ]
    yield VirtualService(
        ref, spec.texts("hosts"), spec.texts("gateways"), tuple(routes), spec.texts("exportTo")
    )


_READ_OF_MATCHES = frozenset(
    {"gateways", "port", "sniHosts", "sourceNamespace", "sourceLabels", "name", "statPrefix", "ignoreUriCase"}
)
_EVERY_PATH = ({"prefix": "/"}, {"regex": ".*"}, {"regex": "/.*"})


def _route(fields: Fields, protocol: str) -> Route:
    """One route; its mirrors are destinations like others, since the proxy connects to them too."""
    matches = tuple(_match(match) for match in fields.mappings("match"))
    delegate = fields.mapping("delegate")
    return Route(
        protocol,
        (*_weighted(fields), *_mirrors(fields)),
        tuple(dict.fromkeys(gateway for match in matches for gateway in match.gateways)),
        (delegate.text("namespace"), delegate.text("name")) if delegate else None,
        matches,
        fields.has("redirect") or fields.has("directResponse"),
        fields.has("rewrite"),
    )


def _weighted(fields: Fields) -> Iterator[Destination]:
    """The destinations that get traffic: a single one whatever its weight, of several those with one
    (`applyHTTPRouteDestination` in `route.go`, `buildOutboundNetworkFiltersWithWeightedClusters` in
    `networkfilter.go`, Istio 1.31)."""
    entries = list(fields.mappings("route"))
    for entry in entries:
        if entry.integer("weight") != 0 or len(entries) == 1:
            yield _destination(entry.mapping("destination"))


def _mirrors(fields: Fields) -> Iterator[Destination]:
    """The destinations that get copies; with a percentage of 0 none do (`MirrorPercent` in `route.go`)."""
    if fields.has("mirrorPercentage"):
        is_off = _is_zero(fields.mapping("mirrorPercentage"))
    else:
        is_off = fields.has("mirrorPercent") and fields.integer("mirrorPercent") == 0
    if fields.has("mirror") and not is_off:
        yield _destination(fields.mapping("mirror"))
    for entry in fields.mappings("mirrors"):
        if not (entry.has("percentage") and _is_zero(entry.mapping("percentage"))):
            yield _destination(entry.mapping("destination"))


def _is_zero(percent: Fields) -> bool:
    return percent.content.get("value") in (None, 0)


def _match(fields: Fields) -> RouteMatch:
    read = _READ_OF_MATCHES | ({"uri"} if fields.content.get("uri") in _EVERY_PATH else frozenset())
    said = {name for name in fields.content if fields.has(name)}
    return RouteMatch(
        gateways=fields.texts("gateways"),
        port=port_number(fields, "port"),
        sni_hosts=fields.texts("sniHosts"),
        source_namespace=fields.text("sourceNamespace"),
        source_labels=tuple(sorted(fields.strings("sourceLabels").items())),
        is_partial=not said <= read,
        request=_request_test(fields) if said - _READ_OF_MATCHES else ANY_REQUEST_AT_ALL,
    )


_TEXT_KINDS = {"exact": TextKind.EXACT, "prefix": TextKind.PREFIX, "regex": TextKind.REGEX}


def _request_test(fields: Fields) -> RequestTest:
    """What a match asks of a request (`TranslateRouteMatch` in `route.go`, Istio 1.31)."""
    others = sorted(
        name
        for name in fields.content
        if fields.has(name) and name not in (_READ_OF_MATCHES | {"uri", "authority"})
    )
    path = _text_match(fields.mapping("uri"), ignores_case=fields.flag("ignoreUriCase"))
    return RequestTest(path, _text_match(fields.mapping("authority")), tuple(others))


def _text_match(fields: Fields, *, ignores_case: bool = False) -> TextMatch:
    for name, kind in _TEXT_KINDS.items():
        if fields.has(name):
            return TextMatch(kind, fields.text(name), ignores_case)
    return ANY_TEXT


def _destination(fields: Fields) -> Destination:
    port = fields.mapping("port")
    number = port_number(port, "number") if port.has("number") else None
    return Destination(fields.text("host"), number, fields.text("subset"), fields.path)


def decode_gateway(fields: Fields, ref: ObjectRef) -> Iterator[Gateway]:
    """An Istio Gateway."""
    spec = fields.mapping("spec")
    yield Gateway(
        ref, labels_of(spec, "selector"), tuple(_server(server) for server in spec.mappings("servers"))
    )


def _server(fields: Fields) -> GatewayServer:
    port = fields.mapping("port")
    return GatewayServer(
        required_port(port, "number"),
        port.text("protocol"),
        port.text("name"),
        port_number(port, "targetPort"),
        fields.texts("hosts"),
        fields.mapping("tls").text("mode"),
    )


def decode_destination_rule(fields: Fields, ref: ObjectRef) -> Iterator[DestinationRule]:
    """A DestinationRule, its subsets, and how its clients speak TLS."""
    spec = fields.mapping("spec")
    subsets = {subset.text("name"): subset for subset in spec.mappings("subsets")}
    selector = spec.optional("workloadSelector")
    yield DestinationRule(
        ref,
        spec.text("host"),
        {name: labels_of(subset, "labels") for name, subset in subsets.items()},
        _client_tls(spec),
        {name: _client_tls(subset) for name, subset in subsets.items() if subset.has("trafficPolicy")},
        None if selector is None else labels_of(selector, "matchLabels"),
        spec.texts("exportTo"),
    )


def decode_service_entry(fields: Fields, ref: ObjectRef) -> Iterator[ServiceEntry]:
    """A ServiceEntry, with Istio's defaults."""
    spec = fields.mapping("spec")
    selector = spec.optional("workloadSelector")
    yield ServiceEntry(
        ref=ref,
        hosts=spec.texts("hosts"),
        addresses=spec.texts("addresses"),
        ports=tuple(
            ServiceEntryPort(
                required_port(port, "number"),
                port.text("protocol", "TCP"),
                port.text("name"),
                port_number(port, "targetPort"),
            )
            for port in spec.mappings("ports")
        ),
        location=spec.text("location", "MESH_EXTERNAL"),
        resolution=spec.text("resolution", "NONE"),
        endpoints=tuple(_endpoint(endpoint) for endpoint in spec.mappings("endpoints")),
        workload_selector=None if selector is None else labels_of(selector, "labels"),
        export_to=spec.texts("exportTo"),
        labels=fields.mapping("metadata").strings("labels"),
    )


def _endpoint(fields: Fields) -> WorkloadEndpoint:
    ports = fields.mapping("ports")
    numbers = {name: port_number(ports, name) for name in ports.content}
    return WorkloadEndpoint(fields.text("address"), numbers, labels_of(fields, "labels"))


def decode_workload_entry(fields: Fields, ref: ObjectRef) -> Iterator[WorkloadEntry]:
    """A WorkloadEntry."""
    yield WorkloadEntry(ref, _endpoint(fields.mapping("spec")))


def decode_sidecar(fields: Fields, ref: ObjectRef) -> Iterator[Sidecar]:
    """A Sidecar and its egress listeners."""
    spec = fields.mapping("spec")
    selector = spec.optional("workloadSelector")
    egress = tuple(
        SidecarEgress(listener.texts("hosts"), port_number(listener.mapping("port"), "number"))
        for listener in spec.mappings("egress")
    )
    yield Sidecar(
        ref, None if selector is None else labels_of(selector, "labels"), egress, _outbound_policy(spec)
    )


def _outbound_policy(spec: Fields) -> str:
    """`outboundTrafficPolicy.mode`, whose first value is REGISTRY_ONLY; empty where the mesh decides
    (`convertToSidecarScope` in `pilot/pkg/model/sidecar.go`, Istio 1.31)."""
    policy = spec.optional("outboundTrafficPolicy")
    return "" if policy is None else policy.text("mode", "REGISTRY_ONLY")


def _client_tls(fields: Fields) -> ClientTls:
    """The TLS settings of the `trafficPolicy` below a DestinationRule or a subset. `tls` without a mode is
    DISABLE, the first of its values."""
    policy = fields.mapping("trafficPolicy")
    ports = (
        (port_number(settings.mapping("port"), "number"), mode_in(tls, ClientTlsMode, ClientTlsMode.DISABLE))
        for settings in policy.mappings("portLevelSettings")
        if (tls := settings.optional("tls")) is not None
    )
    tls = policy.optional("tls")
    mode = None if tls is None else mode_in(tls, ClientTlsMode, ClientTlsMode.DISABLE)
    return ClientTls(mode, tuple(ports))
