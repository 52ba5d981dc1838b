"""Who connected to whom, where a symptom was seen: what a line says, looked up in the input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.analysis.arguments.peers import find_peer, find_service, host_of
from istio_netpol.analysis.explain.front_doors import listening
from istio_netpol.errors import InputError
from istio_netpol.flows.table import FlowTable, namespaces_of
from istio_netpol.istio.hbone import HBONE_PORT
from istio_netpol.model.addresses import AddressSet, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.istio_networking import Gateway
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.symptoms.facts import ConnectionFacts
from istio_netpol.symptoms.paste import Seen

_SEEN_BY_OTHERS = frozenset(
    {
        FlowKind.ISTIOD_TO_JWKS,
        FlowKind.WEBHOOK_FROM_APISERVER,
        FlowKind.CLIENT_TO_GATEWAY,
        FlowKind.SCRAPE,
    }
)
"""Flows whose loss is seen in the log of somebody else than the one who connects."""

_SERVES_ALL = frozenset({FlowKind.ISTIOD_TO_JWKS, FlowKind.WEBHOOK_FROM_APISERVER})
"""Flows of the control plane whose loss is seen in any namespace."""

_TARGET_IS_NAMED = frozenset(
    {
        FlowKind.GATEWAY_TO_WORKLOAD,
        FlowKind.WORKLOAD_TO_WORKLOAD,
        FlowKind.WORKLOAD_TO_EXTERNAL,
        FlowKind.ISTIOD_TO_JWKS,
        FlowKind.WEBHOOK_FROM_APISERVER,
        FlowKind.HBONE,
        FlowKind.SCRAPE,
    }
)
"""Flows whose destination is what the line says was called: a request that DNS, istiod or an authorizer
failed names another one."""

PROBE = "proxy-probe"
"""The symptom whose address is that of the pod itself, which the kubelet called."""

_GENERATED = re.compile(r"-(?:[a-z0-9]{5,10}-[a-z0-9]{5}|[bcdfghjklmnpqrstvwxz2456789]{5}|[0-9]{1,4})$")
"""What controllers add to a name for their pods, and Deployments and CronJobs for what is between."""


class Ends(Struct, frozen=True):
    """The ends of the connections that a symptom may be about.

    `sources` are the pods that may have connected, none where nobody knows. `targets` are peers and ports
    that may have been called, None where nobody knows. `called` is the same as a person would name it.
    `namespace` is the one that was asked for, where nothing else narrows them down.
    """

    sources: tuple[Workload, ...] = ()
    targets: tuple[tuple[Peer, int], ...] | None = None
    called: tuple[str, int | str, Protocol] | None = None
    remarks: tuple[str, ...] = ()
    namespace: str = ""

    def fits(self, flow: RequiredFlow) -> bool:
        """Whether the flow may be the connection in question."""
        return self.is_source(flow) and self._is_target(flow) and self._is_near(flow)

    def is_source(self, flow: RequiredFlow) -> bool:
        """Whether the pods that connect in this flow may be those."""
        if not self.sources or flow.kind in _SEEN_BY_OTHERS:
            return True
        return isinstance(flow.source, PodsPeer) and _is_among(flow.source.workload, self.sources)

    def _is_near(self, flow: RequiredFlow) -> bool:
        """Whether the flow concerns the namespace that was asked for. What serves all namespaces does."""
        if not self.namespace or flow.kind in (*_SERVES_ALL, FlowKind.TO_APISERVER):
            return True
        return self.namespace in (flow.object.namespace, *namespaces_of(flow))

    def _is_target(self, flow: RequiredFlow) -> bool:
        if self.targets is None or flow.kind not in _TARGET_IS_NAMED:
            return True
        if flow.port == HBONE_PORT:
            meant = flow.via.meant or (
                flow.destination.workload if isinstance(flow.destination, PodsPeer) else None
            )
            pods = [peer.workload for peer, _ in self.targets if isinstance(peer, PodsPeer)]
            return meant is not None and _is_among(meant, pods)
        return any(port in (0, flow.port) and _is_same(peer, flow.destination) for peer, port in self.targets)


def ends_of(
    seen: Seen,
    table: FlowTable,
    source: str = "",
    namespace: str = "",
    destination: tuple[str, int | str, Protocol] | None = None,
) -> Ends:
    """The ends of which a line speaks. `source` and `destination` are who connected to whom where somebody
    says it, in the words of the command line; `namespace` that of pods of which the line has none."""
    facts = seen.sighting.facts
    is_probed = seen.sighting.symptom.id == PROBE
    snapshot = table.snapshot
    remarks: list[str] = []
    sources: tuple[Workload, ...]
    if source:
        peer = find_peer(source, snapshot, tuple)
        sources = (peer.workload,) if isinstance(peer, PodsPeer) else ()
    else:
        sources = tuple(_writers(facts, snapshot, facts.namespace or namespace))
        if facts.pod and not sources:
            where = f" of namespace {facts.namespace or namespace}" if facts.namespace or namespace else ""
            remarks.append(
                f"pod {facts.pod} does not belong to a workload{where} in the input, so those of all pods "
                "are shown"
            )
        writers = ((facts.address,),) if is_probed else seen.writers
        sources = sources or tuple(dict.fromkeys(pods for own in writers for pods in _at(own, snapshot)))
    targets, called = (None, None) if is_probed else _called(facts, table)
    if destination is not None:
        targets, called = _named(destination, table), destination
    if facts.server:
        remarks.append(f"the answer is of the server {facts.server!r}, not of a proxy of the mesh")
    asked = "" if sources or targets else namespace
    return Ends(sources, targets, called, tuple(remarks), asked)


def _writers(facts: ConnectionFacts, snapshot: Snapshot, namespace: str) -> Iterator[Workload]:
    """The workloads of a pod's name: by the pod itself if the input has it, else by the name of its
    controller, from which it was made."""
    if not facts.pod:
        return
    places = (namespace,) if namespace else snapshot.namespace_names
    for place in places:
        pod = snapshot.find(Workload, place, facts.pod, "Pod")
        if pod is None:
            continue
        same = [pods for pods in snapshot.workloads(place) if pods.labels.items() <= pod.labels.items()]
        yield from [pods for pods in same if set(pod.addresses) <= set(pods.addresses)][:1] or [pod]
        return
    for name in _controllers(facts.pod):
        found = [
            workload
            for place in places
            for workload in snapshot.workloads(place)
            if name in (workload.name, f"{workload.name}-{workload.labels.get('pod-template-hash')}")
        ]
        if found:
            yield from found
            return


def _controllers(pod: str) -> Iterator[str]:
    """The names from which the pod's can have been made, the longest first."""
    yield pod
    name = pod
    while (shorter := _GENERATED.sub("", name)) != name:
        if "-" in name and shorter.count("-") < name.count("-") - 1:
            yield name.rpartition("-")[0]
        yield shorter
        name = shorter


def _at(addresses: Iterable[str], snapshot: Snapshot) -> tuple[Workload, ...]:
    """The pods at the first of the addresses that any has."""
    found = (snapshot.pods_at(address) for text in addresses if (address := parse_address(text)) is not None)
    return next(filter(None, found), ())


def _called(
    facts: ConnectionFacts, table: FlowTable
) -> tuple[tuple[tuple[Peer, int], ...] | None, tuple[str, int | str, Protocol] | None]:
    """The peers that were called and how a person names them."""
    view = table.view
    if facts.host:
        service = _service(facts, table)
        named = (facts.host, facts.port, Protocol.TCP) if host_of(facts.host) and facts.port else None
        if service is None:
            return ((HostPeer(facts.host), 0),), named
        ports = [port for port in service.ports if facts.port in (0, port.port)]
        backends = [backend for port in ports for backend in view.backends(service, port.port)]
        text = f"{service.ref.namespace}/Service/{service.ref.name}"
        return (
            tuple((backend.peer, backend.port) for backend in backends),
            (text, facts.port, Protocol.TCP) if facts.port else None,
        )
    address = parse_address(facts.address) if facts.address else None
    if address is None:
        return None, None
    named = (facts.address, facts.port, Protocol.TCP) if facts.port else None
    found = view.service_at(address, facts.port, Protocol.TCP, facts.namespace)
    if found is not None:
        ports = [port for port in found.service.ports if facts.port in (0, port.port)]
        backends = [backend for port in ports for backend in view.backends(found.service, port.port)]
        return tuple((backend.peer, backend.port) for backend in backends), named
    pods = tuple((PodsPeer(pods), facts.port) for pods in table.snapshot.pods_at(address))
    return pods or ((AddressPeer(AddressSet.of(address)), facts.port),), named


def _named(
    destination: tuple[str, int | str, Protocol], table: FlowTable
) -> tuple[tuple[Peer, int], ...] | None:
    """The peers that somebody names as called; None for those that the input does not hold."""
    text, port, protocol = destination
    number = port if isinstance(port, int) else 0
    service = find_service(text, port, protocol, table.snapshot)
    if service is not None:
        ports = [
            service_port for service_port in service.ports if port in (service_port.port, service_port.name)
        ]
        backends = [
            backend for service_port in ports for backend in table.view.backends(service, service_port.port)
        ]
        return tuple((backend.peer, backend.port) for backend in backends)
    if host := host_of(text):
        return _called(ConnectionFacts(host=host, port=number), table)[0]
    if parse_address(text) is not None:
        return _called(ConnectionFacts(address=text, port=number), table)[0]
    try:
        return ((find_peer(text, table.snapshot, tuple), number),)
    except InputError:
        return None


def _service(facts: ConnectionFacts, table: FlowTable) -> Service | None:
    """The Service of a host as clients write it, from `istiod.istio-system.svc` to `cart`."""
    parts = facts.host.split(".")
    if len(parts) >= 2 and (len(parts) == 2 or parts[2] == "svc"):
        found = table.view.find_service(parts[1], parts[0])
        if found is not None:
            return found
    resolved = table.view.resolve_host(facts.host, facts.namespace)
    return resolved if isinstance(resolved, Service) else None


def _is_among(workload: Workload, others: Iterable[Workload]) -> bool:
    return any(workload.peer_name == other.peer_name for other in others)


def _is_same(named: Peer, peer: Peer) -> bool:
    """Whether a peer of a flow may be the one that a line names."""
    if isinstance(named, PodsPeer):
        return isinstance(peer, PodsPeer) and _is_among(named.workload, (peer.workload,))
    if isinstance(named, HostPeer):
        return isinstance(peer, HostPeer | AddressPeer) and peer.host == named.host
    if isinstance(named, AddressPeer) and isinstance(peer, AddressPeer):
        return peer.addresses >= named.addresses
    return isinstance(peer, AnyPeer)


_DOORS = frozenset({FlowKind.CLIENT_TO_GATEWAY, FlowKind.TO_APISERVER})
_API_SERVER_PORT = 443
"""Of the Service `kubernetes`, whatever port the API server has itself."""


def can_be_called(flow: RequiredFlow, ends: Ends, table: FlowTable) -> bool:
    """Whether a flow to a gateway or to the API server leads to what the line says was called. Every flow
    does where the line does not say it, and those of other kinds are told by their destination."""
    if flow.kind not in _DOORS or ends.targets is None:
        return True
    return any(_leads_there(flow, peer, own_port, ends, table) for peer, own_port in ends.targets)


def _leads_there(flow: RequiredFlow, peer: Peer, own_port: int, ends: Ends, table: FlowTable) -> bool:
    if isinstance(peer, PodsPeer):
        is_same = (
            isinstance(flow.destination, PodsPeer)
            and peer.workload.peer_name == flow.destination.workload.peer_name
        )
        return is_same and own_port in (0, flow.port)
    to_gateway = flow.kind is FlowKind.CLIENT_TO_GATEWAY
    if to_gateway and isinstance(peer, HostPeer) and not any(listening(table.snapshot, peer.host)):
        return False
    port = ends.called[1] if ends.called else 0
    return port in (0, flow.port, *_ports_before(flow, table))


def _ports_before(flow: RequiredFlow, table: FlowTable) -> Iterator[int]:
    """The ports under which clients know a flow's destination: those of the Services before its pods, and of
    the Gateway that asks for it."""
    if flow.kind is FlowKind.TO_APISERVER:
        yield _API_SERVER_PORT
        return
    gateway = table.snapshot.find(Gateway, flow.object.namespace, flow.object.name)
    if gateway is not None and gateway.ref.key == flow.object.key:
        yield from (server.port for server in gateway.servers)
    if isinstance(flow.destination, PodsPeer):
        for service in table.view.services_of(flow.destination.workload):
            for port in service.ports:
                yield from (port.port, port.node_port)
