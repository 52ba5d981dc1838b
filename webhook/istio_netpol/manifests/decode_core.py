"""Decodes namespaces, Services and their endpoints, and Nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from istio_netpol.manifests.decode_selectors import labels_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.addresses import Address, is_network, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import NAMESPACE_NAME_LABEL
from istio_netpol.model.own_names import CALLED_BY
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import (
    EndpointAddress,
    EndpointPort,
    EndpointSlice,
    Service,
    ServicePort,
    has_internal_load_balancer,
)
from istio_netpol.model.workloads import Namespace, NodeAddresses

PORT_NAME = re.compile(r"(?!.*--)(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?")
"""An IANA service name: what container ports are called."""

SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def protocol_of(fields: Fields, name: str = "protocol") -> Protocol:
    """The protocol of a port entry; TCP where absent."""
    text = fields.text(name, "TCP")
    try:
        return Protocol(text)
    except ValueError:
        fields.problem(fields.at(name), text, "is not a protocol", "use TCP, UDP or SCTP")
        return Protocol.TCP


def port_number(fields: Fields, name: str) -> int:
    """A port number of 1 to 65535; 0 where absent."""
    number = fields.integer(name)
    if type(fields.content.get(name)) is int and not 1 <= number <= 65535:
        fields.problem(fields.at(name), number, "is not a port number", "use 1 to 65535")
    return number


def required_port(fields: Fields, name: str) -> int:
    """A port number of 1 to 65535 that has to be there."""
    if not fields.has(name):
        fields.problem(fields.at(name), None, "is missing", "use 1 to 65535")
    return port_number(fields, name)


def port_or_name(fields: Fields, name: str) -> int | str | None:
    """A port by number or name, as the API server accepts them."""
    port = fields.integer_or_text(name)
    if isinstance(port, int):
        return port_number(fields, name)
    if port is not None and (len(port) > 15 or not PORT_NAME.fullmatch(port)):
        remedy = "use at most 15 lower-case letters, digits and single '-' between them, at least one letter"
        if port.isascii() and port.isdigit():
            remedy = f"write the number without quotes: {port}"
        fields.problem(fields.at(name), port, "is not a port name", remedy)
    return port


def decode_namespace(fields: Fields, ref: ObjectRef) -> Iterator[Namespace]:
    """A namespace, with the label that the API server sets on each."""
    metadata = fields.mapping("metadata")
    labels = {**metadata.strings("labels"), NAMESPACE_NAME_LABEL: ref.name}
    terminating = metadata.has("deletionTimestamp") or fields.mapping("status").text("phase") == "Terminating"
    yield Namespace(ref, labels, metadata.strings("annotations"), terminating)


def decode_service(fields: Fields, ref: ObjectRef) -> Iterator[Service]:
    """A Service; `targetPort` is `port` where it is absent."""
    metadata, spec = fields.mapping("metadata"), fields.mapping("spec")
    annotations = metadata.strings("annotations")
    cluster_ips = spec.texts("clusterIPs") or tuple(filter(None, [spec.text("clusterIP")]))
    yield Service(
        ref=ref,
        ports=tuple(_service_port(port) for port in spec.mappings("ports")),
        selector=(labels_of(spec, "selector") or None) if spec.has("selector") else None,
        type=spec.text("type", "ClusterIP"),
        cluster_ips=cluster_ips,
        external_name=spec.text("externalName") if spec.text("type") == "ExternalName" else "",
        labels=metadata.strings("labels"),
        called_by=annotations.get(CALLED_BY, ""),
        external_ips=_readable(spec.texts("externalIPs")),
        balancer_ips=_balancer_ips(fields),
        keeps_client_addresses=spec.text("externalTrafficPolicy") == "Local",
        source_ranges=_source_ranges(spec, annotations),
        is_internal=has_internal_load_balancer(annotations),
    )


def _balancer_ips(fields: Fields) -> tuple[Address, ...]:
    """Where a load balancer answers and the nodes do so in its place: with `ipMode` Proxy packets go out to
    it, and what it names by `hostname` is outside anyway."""
    entries = fields.mapping("status").mapping("loadBalancer").mappings("ingress")
    return _readable(entry.text("ip") for entry in entries if entry.text("ipMode", "VIP") != "Proxy")


def _readable(texts: Iterable[str]) -> tuple[Address, ...]:
    return tuple(address for text in texts if (address := parse_address(text)))


def _source_ranges(spec: Fields, annotations: Mapping[str, str]) -> tuple[str, ...]:
    """The CIDRs of `loadBalancerSourceRanges`, or of the annotation before it; the API server takes spaces
    around them."""
    written = spec.texts("loadBalancerSourceRanges")
    ranges = written or tuple(filter(None, annotations.get(SOURCE_RANGES, "").split(",")))
    for text in written:
        if not is_network(text.strip()):
            path = spec.at("loadBalancerSourceRanges")
            spec.problem(path, text, "is not a CIDR", "write it as 192.0.2.0/24")
    return tuple(text.strip() for text in ranges if is_network(text.strip()))


def _service_port(fields: Fields) -> ServicePort:
    number = required_port(fields, "port")
    target = fields.integer_or_text("targetPort")
    target = number if target in (None, 0, "") else port_or_name(fields, "targetPort")
    node_port = port_number(fields, "nodePort") if fields.content.get("nodePort") else 0
    name, protocol = fields.text("name"), protocol_of(fields)
    app_protocol = fields.text("appProtocol")
    return ServicePort(number, target or number, name, protocol, node_port, app_protocol)


def decode_endpoint_slice(fields: Fields, ref: ObjectRef) -> Iterator[EndpointSlice]:
    """A slice that belongs to a Service; other slices are nobody's backends."""
    service = fields.mapping("metadata").strings("labels").get(SERVICE_NAME_LABEL, "")
    endpoints = tuple(
        EndpointAddress(addresses_in(endpoint, endpoint.texts("addresses"), "addresses"), *_pod(endpoint))
        for endpoint in fields.mappings("endpoints")
        if fields.text("addressType") != "FQDN"
    )
    if service:
        yield EndpointSlice(ref, service, endpoints, _endpoint_ports(fields))


def decode_endpoints(fields: Fields, ref: ObjectRef) -> Iterator[EndpointSlice]:
    """An Endpoints object: one slice for each of its subsets."""
    for index, subset in enumerate(fields.mappings("subsets")):
        endpoints = tuple(
            EndpointAddress(addresses_in(entry, (entry.text("ip"),), "ip"), *_pod(entry))
            for name in ("addresses", "notReadyAddresses")
            for entry in subset.mappings(name)
        )
        name = ref.name if index == 0 else f"{ref.name}-{index}"
        part = ObjectRef(ref.api_version, ref.kind, ref.namespace, name, ref.file, ref.line)
        yield EndpointSlice(part, ref.name, endpoints, _endpoint_ports(subset))


def _endpoint_ports(fields: Fields) -> tuple[EndpointPort, ...]:
    ports = fields.mappings("ports")
    return tuple(
        EndpointPort(port_number(port, "port"), port.text("name"), protocol_of(port)) for port in ports
    )


def _pod(endpoint: Fields) -> tuple[str, str]:
    target = endpoint.mapping("targetRef")
    is_pod = target.text("kind") == "Pod"
    return (target.text("name"), target.text("namespace")) if is_pod else ("", "")


def addresses_in(fields: Fields, texts: tuple[str, ...], name: str) -> tuple[Address, ...]:
    """The IP addresses that texts spell; others are problems."""
    found = []
    for text in texts:
        address = parse_address(text)
        if address is None:
            fields.problem(fields.at(name), text, "is not an IP address")
        else:
            found.append(address)
    return tuple(found)


def decode_node(fields: Fields, ref: ObjectRef) -> Iterator[NodeAddresses]:
    """The addresses of a Node that packets carry, and its labels."""
    spec = fields.mapping("spec")
    entries = list(fields.mapping("status").mappings("addresses"))
    texts = [entry.text("address") for entry in entries if entry.text("type") in ("InternalIP", "ExternalIP")]
    pod_cidrs = spec.texts("podCIDRs") or tuple(filter(None, [spec.text("podCIDR")]))
    labels = fields.mapping("metadata").strings("labels")
    internal = _readable(entry.text("address") for entry in entries if entry.text("type") == "InternalIP")
    yield NodeAddresses(ref, _readable(texts), pod_cidrs, labels, internal)
