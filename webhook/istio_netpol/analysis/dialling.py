"""At which addresses clients dial, which counts where policies are judged before a Service is translated.

Envoy dials pods: what its configuration knows of the mesh comes with endpoints (EDS; istio/istio
pilot/pkg/networking/core/cluster_builder.go, Istio 1.31). So do ztunnel and waypoints, which look pods up by
themselves (istio/ztunnel src/proxy/outbound.rs, 1.31), and whoever scrapes. So these are at pods: gateways to
workloads, providers of ext_authz and access logs, tunnels, calls of pods with a sidecar to hosts that it
knows.

Others resolve a name to a ClusterIP and dial that: pilot-agent, which asks istiod and fetches Wasm modules
(istio/istio pilot/cmd/pilot-agent), istiod, which fetches keys, whoever asks cluster DNS or the API server
(kubernetes/client-go rest/config.go, InClusterConfig), and every client without a proxy. UDP and SCTP pass a
proxy by.

Where either may be, both have to be open: spans, which the address in a proxy's bootstrap sends to the
ClusterIP and a provider to pods (istio/istio tools/packaging/common/envoy_bootstrap.json), the hosts of a
ServiceEntry that stand for a Service, and calls of pods with a sidecar that a Sidecar or annotations keep
from knowing the host: those pass it as they are.
"""

from __future__ import annotations

from functools import lru_cache

from istio_netpol.istio.sidecar_scope import knows
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import SERVICE_ADDRESSES
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.references import ASSUMED, KUBERNETES_SERVICE, ObjectRef
from istio_netpol.model.services import DIRECTLY, Dialled, Front, Service, ServicePort
from istio_netpol.model.workloads import Workload

_BY_NAME = frozenset({FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD, FlowKind.DNS})
_AT_PODS = frozenset(
    {
        FlowKind.GATEWAY_TO_WORKLOAD,
        FlowKind.CLIENT_TO_GATEWAY,
        FlowKind.EXT_AUTHZ,
        FlowKind.HBONE,
        FlowKind.SCRAPE,
    }
)

_PASSING_BY = "traffic.sidecar.istio.io/"
"""How annotations begin that keep connections from the sidecar (Istio 1.28)."""


def dialled(flow: RequiredFlow, view: MeshView) -> Dialled:
    """How a flow's destination is dialled; directly where no Service is between."""
    source, destination = flow.source, flow.destination
    if not isinstance(source, PodsPeer) or flow.kind in _AT_PODS:
        return DIRECTLY
    if isinstance(destination, AddressPeer):
        at_address = _at_address(destination.addresses, flow.port, view)
        if at_address is not DIRECTLY or flow.via.service is None:
            return at_address
    if isinstance(destination, HostPeer | AnyPeer) or flow.via.meant is not None:
        return DIRECTLY
    fronts = _fronts(flow, destination, view)
    if not fronts:
        return DIRECTLY
    if flow.kind in _BY_NAME:
        return Dialled(fronts, at_own_address=False)
    if flow.kind is FlowKind.TRACING or flow.object.kind == "ServiceEntry":
        return Dialled(fronts)
    return _of_call(flow, source.workload, fronts, view)


def _of_call(flow: RequiredFlow, client: Workload, fronts: tuple[Front, ...], view: MeshView) -> Dialled:
    """A call of a workload: its proxy dials pods, where it has one which takes the call."""
    by_agent = flow.object.kind == "WasmPlugin"
    if by_agent or flow.protocol is not Protocol.TCP:
        return Dialled(fronts, at_own_address=False)
    if view.is_gateway(client) or view.is_ambient(client):
        return DIRECTLY
    if not view.injection(client).injected:
        return Dialled(fronts, at_own_address=False)
    services = dict.fromkeys(front.service for front in fronts)
    is_known = all(knows(view, client, service.namespace, view.service_host(service)) for service in services)
    passes_by = any(key.startswith(_PASSING_BY) for key in client.annotations)
    return DIRECTLY if is_known and not passes_by else Dialled(fronts)


def _fronts(flow: RequiredFlow, destination: PodsPeer | AddressPeer, view: MeshView) -> tuple[Front, ...]:
    """The ports of Services behind which the pods' port is: of the one by which the flow leads there, else of
    all that select the pods where the name is what counts."""
    called = destination.workload if isinstance(destination, PodsPeer) else None
    if flow.via.service is not None:
        services: tuple[Service, ...] = (flow.via.service,)
    elif flow.kind in _BY_NAME and called is not None:
        services = _of_control_plane(flow, called, view)
    else:
        return ()
    return tuple(
        Front(service, port.port)
        for service in services
        if not service.is_headless and not service.external_name
        for port in service.ports
        if port.protocol is flow.protocol and _leads_to(port, called, flow.port)
    )


def _of_control_plane(flow: RequiredFlow, called: Workload, view: MeshView) -> tuple[Service, ...]:
    """The Services of istiod or of cluster DNS that select the pods; of several, who asks may take any."""
    services = view.services_of(called)
    if flow.kind is not FlowKind.DNS:
        return services
    return tuple(service for service in services if any(port.port == 53 for port in service.ports))


def _leads_to(port: ServicePort, called: Workload | None, number: int) -> bool:
    """Whether a port of a Service is that of its pods. Behind one without pods, the name of the target port
    is the endpoints' to resolve."""
    if isinstance(port.target, int):
        return port.target == number
    if called is None:
        return True
    return number in called.named_port(port.target, port.protocol)


def _at_address(addresses: AddressSet, port: int, view: MeshView) -> Dialled:
    """A single address that is some Service's own, or is said to be the API server's."""
    ranges = list(addresses.ranges())
    if len(ranges) != 1 or ranges[0][0] != ranges[0][1]:
        return DIRECTLY
    address = ranges[0][0]
    told = view.settings.api_server
    assumed = _assumed_api_server(told.service_address, told.port)
    services = [*view.by_key(SERVICE_ADDRESSES, address), assumed]
    fronts = tuple(front for service in services if (front := Front(service, port)).address == address)
    return Dialled(fronts[:1], at_own_address=False) if fronts else DIRECTLY


@lru_cache(maxsize=8)
def _assumed_api_server(address: str, port: int) -> Service:
    """The API server's Service as settings tell of it, where the input does not hold it. The same settings
    have the same one, by which verdicts are known again."""
    ports = (ServicePort(443, port, "https"),)
    ref = ObjectRef("v1", "Service", *KUBERNETES_SERVICE, ASSUMED)
    return Service(ref, ports, cluster_ips=(address,) if address else ())
