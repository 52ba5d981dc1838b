"""Compares the API server as pods reach it, its endpoints after address translation, with what is
configured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network

from istio_netpol.doctor.dialled import service_judged
from istio_netpol.doctor.network_plugin import found_plugins
from istio_netpol.doctor.survey import (
    BUNDLE_SELECTOR,
    Manifest,
    NotSeenError,
    Survey,
    admits_port,
    dig,
    listed,
    name_of,
    namespace_of,
)
from istio_netpol.kube.resources import ENDPOINT_SLICES, NETWORK_POLICIES, SERVICES
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings, Translation

TOPIC = "API server"
SLICES = "EndpointSlice default/kubernetes"

SERVICE_PORT = 443
TO_API_SERVER = "-to-apiserver"

ApiServerEndpoint = tuple[str, int]


def api_server(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Addresses and port, whether the settings name them, and whether the bundle's policies open them."""
    slices = survey.all(ENDPOINT_SLICES, "default", "kubernetes.io/service-name=kubernetes")
    found = sorted({endpoint for endpoint_slice in slices for endpoint in _endpoints(endpoint_slice)})
    if not found:
        yield Diagnosis(
            TOPIC,
            SLICES,
            "no address",
            Health.WRONG,
            "find out why the API server publishes no address; rules use the setting apiServer meanwhile",
        )
        return
    named = ", ".join(f"{address}:{port}" for address, port in found)
    before = _is_judged_before(survey)
    told = (
        "which this plugin does not judge: it sees the Service's address"
        if before
        else ("which is what most plugins judge instead of 443 of the Service")
    )
    yield Diagnosis(TOPIC, SLICES, f"{named}, {told}")
    yield from _settings(found, settings)
    if before:
        yield from service_judged(survey, settings)
        service = survey.named(SERVICES, "kubernetes", "default")
        found = [(str(dig(service, "spec", "clusterIP") or ""), SERVICE_PORT)]
    for policy in survey.all(NETWORK_POLICIES, "", BUNDLE_SELECTOR):
        if name_of(policy).endswith(TO_API_SERVER):
            yield _of_bundle(policy, found)


def _is_judged_before(survey: Survey) -> bool:
    """Whether the plugin that enforces judges packets before they have an endpoint's address; False where it
    can't be seen."""
    try:
        return any(
            plugin.enforces and plugin.judges is Translation.BEFORE for plugin, _ in found_plugins(survey)
        )
    except NotSeenError:
        return False


def _endpoints(manifest: Manifest) -> Iterator[ApiServerEndpoint]:
    addresses = [
        str(address)
        for entry in listed(manifest.get("endpoints"))
        for address in listed(dig(entry, "addresses"))
    ]
    for port in listed(manifest.get("ports")):
        number = dig(port, "port")
        if isinstance(number, int):
            yield from ((address, number) for address in addresses)


def _settings(found: Sequence[ApiServerEndpoint], settings: Settings) -> Iterator[Diagnosis]:
    configured = settings.api_server
    if configured.addresses:
        outside = [address for address, _ in found if not _is_within(address, configured.addresses)]
        yield Diagnosis(
            TOPIC,
            "setting apiServer.addresses",
            ", ".join(configured.addresses),
            Health.WRONG if outside else Health.OK,
            f"add {', '.join(dict.fromkeys(outside))}" if outside else "",
        )
    ports = sorted({port for _, port in found})
    if configured.port not in ports:
        yield Diagnosis(
            TOPIC,
            "setting apiServer.port",
            f"{configured.port}, and the endpoint has {', '.join(map(str, ports))}",
            Health.NOTE,
            f"set apiServer.port to {ports[0]}: it counts where an input holds no EndpointSlice",
        )


def _of_bundle(policy: Manifest, found: Sequence[ApiServerEndpoint]) -> Diagnosis:
    """Whether a policy of the bundle opens every endpoint."""
    closed = [endpoint for endpoint in found if not _opens(policy, endpoint)]
    title = f"NetworkPolicy {namespace_of(policy)}/{name_of(policy)}"
    if not closed:
        return Diagnosis(TOPIC, title, "opens every endpoint")
    names = ", ".join(f"{address}:{port}" for address, port in closed)
    return Diagnosis(
        TOPIC,
        title,
        f"does not open {names}",
        Health.WRONG,
        "set apiServer.peers and apiServer.port in values.yaml of the overlay, and apply it again",
    )


def _opens(policy: Manifest, endpoint: ApiServerEndpoint) -> bool:
    address, number = endpoint
    return any(
        admits_port(listed(dig(rule, "ports")), number) and _admits(listed(dig(rule, "to")), address)
        for rule in listed(dig(policy, "spec", "egress"))
    )


def _admits(peers: Sequence[Manifest], address: str) -> bool:
    if not peers:
        return True
    for peer in peers:
        block = dig(peer, "ipBlock")
        if block is None:
            continue
        excepted = [str(network) for network in listed(dig(block, "except"))]
        if _is_within(address, [str(block.get("cidr"))]) and not _is_within(address, excepted):
            return True
    return False


def _is_within(address: str, networks: Sequence[str]) -> bool:
    try:
        return any(ip_address(address) in ip_network(network, strict=False) for network in networks)
    except ValueError:
        return False
