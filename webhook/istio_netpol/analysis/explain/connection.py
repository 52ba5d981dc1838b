"""Whether one connection is allowed, step by step, and the smallest policies that would allow it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from istio_netpol.analysis.ambient.tunnels import Leg, legs
from istio_netpol.analysis.arguments.peers import find_peer, find_service, host_of
from istio_netpol.analysis.assumed_pods import is_assumed, opened, stand_ins_of
from istio_netpol.analysis.check import gate_of
from istio_netpol.analysis.dialling import dialled
from istio_netpol.analysis.explain.gates import Passage, gates
from istio_netpol.analysis.explain.policy_steps import policy_steps
from istio_netpol.analysis.generate import packets_key, required_remedies
from istio_netpol.analysis.results import Explanation, ExplanationStep
from istio_netpol.analysis.unread_policies import UnreadPolicies
from istio_netpol.errors import InputError, Problem, all_told
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.injection import as_injected
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.stand_ins import StandIn
from istio_netpol.model.addresses import parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import DIRECTLY as DIRECT
from istio_netpol.model.flows import AddressPeer, FlowKind, HostPeer, Peer, PodsPeer, RequiredFlow, Via
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.services import DIRECTLY, Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.evaluate import judge
from istio_netpol.remedies.denied_sides import openings_of
from istio_netpol.remedies.drafts import DraftPart
from istio_netpol.remedies.overruled import overruled
from istio_netpol.remedies.policy_writer import PolicyWriter, Unmendable
from istio_netpol.state.network import cluster_network
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.host_policy import HostGate


def explain(
    snapshot: Snapshot,
    settings: Settings,
    resolver: Resolver,
    source: str,
    destination: str,
    port: int | str,
    protocol: Protocol,
) -> Explanation:
    """Follows one connection from the source's egress to the destination's ingress.

    `source` and `destination` are written as `arguments.peers` reads them, `destination` may also be a host;
    `port` is the pods' port, its name, or a Service's port where the destination is a Service. Raises
    InputError for peers and ports that the input does not have, and for hosts that do not resolve.
    """
    peers = _Peers(snapshot, settings)
    snapshot = peers.snapshot
    table = FlowTable(snapshot, snapshot, settings, {})
    steps: list[ExplanationStep] = []
    all_told(lambda: peers.find(source, []), lambda: peers.require(destination, port, protocol))
    client = peers.find(source, steps)
    gate = gate_of(table, resolver)
    called, service = _CalledEnd(destination, port, protocol, client, peers, table.view, gate).find(steps)
    if isinstance(client, AddressPeer) and isinstance(called.peer, AddressPeer):
        raise InputError(
            [_problem("two addresses: NetworkPolicies govern pods", "name a workload on one side")]
        )
    parts = [
        _judged(snapshot, table.view, leg, protocol, service)
        for leg in legs(table.view, client, called, service)
    ]
    steps += _steps_along(parts, snapshot)
    denied = [judged for _, judged in parts if not judged.verdict.allowed]
    remedies = _remedies(denied, peers, resolver, gate, steps) if denied else ()
    how = next((judged.verdict.egress.dialled for _, judged in parts), None) or DIRECTLY
    passage = Passage(client, called.peer, protocol, called.port, service, dialled=how)
    found = gates(snapshot, table.view, passage)
    asked = f"{destination}:{port}/{protocol}"
    return Explanation(source, asked, not denied, tuple(steps), remedies, found)


def _steps_along(parts: Iterable[tuple[str, Judged]], snapshot: Snapshot) -> Iterator[ExplanationStep]:
    """What policies say of each leg of the way, and which policies at its ends are not read."""
    unread = UnreadPolicies(snapshot)
    for remark, judged in parts:
        if remark:
            yield ExplanationStep(remark)
        for direction in Direction:
            yield from policy_steps(judged, direction, snapshot)
        for policy, end in dict.fromkeys(unread.at_ends(judged.flow.source, judged.flow.destination)):
            yield ExplanationStep(f"{policy.title} selects {end.ref} and is not read")


def _remedies(
    denied: list[Judged], peers: _Peers, resolver: Resolver, gate: HostGate, steps: list[ExplanationStep]
) -> tuple[NetworkPolicy, ...]:
    """The policies that allow denied connections: those that `generate` writes where something needs one,
    else the smallest; `steps` tell why none can."""
    stored = FlowTable.of(peers.stored, peers.settings)
    needed = required_remedies((judged.flow for judged in denied), stored, resolver)
    writer = PolicyWriter(peers.snapshot, gate.blocks)
    found: dict[str, NetworkPolicy] = {}
    for judged in denied:
        own = needed.get(packets_key(judged.flow), ())
        found.update((policy.key, policy) for policy in own)
        drafted: list[DraftPart | Unmendable] = [*overruled(openings_of(judged), peers.snapshot)]
        if not own and not drafted:
            drafted = [writer.add(opening) for opening in openings_of(judged)]
        steps += [
            ExplanationStep(f"no policy can allow it: {policy.because}")
            for policy in drafted
            if isinstance(policy, Unmendable)
        ]
    found.update((policy.key, policy) for policy in writer.policies())
    return tuple(found[key] for key in sorted(found))


def _judged(
    snapshot: Snapshot, view: MeshView, leg: Leg, protocol: Protocol, service: Service | None
) -> tuple[str, Judged]:
    """A part of the way with its remark, and what the policies say of it. `service` is what is called."""
    source, destination = leg.source, leg.destination
    flow = RequiredFlow(
        _kind(source, destination),
        _object(source, destination),
        source,
        destination,
        protocol,
        leg.port,
        "it was asked for",
        via=Via(service=service) if leg.is_as_asked else DIRECT,
    )
    how = dialled(flow, view) if snapshot.network.judges_before else DIRECTLY
    verdict = judge(snapshot, source, destination, protocol, leg.port, dialled=how)
    return leg.remark, Judged(flow, opened(verdict, source, destination))


class _Peers(Struct, frozen=True, dict=True):
    """The workloads of an input, with what is assumed for what it lacks."""

    stored: Snapshot
    settings: Settings

    @cached_property
    def snapshot(self) -> Snapshot:
        """The input, with what injection adds to it."""
        network = cluster_network(self.settings)
        return as_injected(self.stored, self.settings.mesh).judged_by(network)

    @cached_property
    def stand_ins(self) -> tuple[StandIn, ...]:
        """Stand-ins for what the input lacks; worked out on demand, since that takes all required flows of
        the input."""
        return stand_ins_of(self.stored, self.settings)

    @cached_property
    def predicted(self) -> dict[Workload, KubernetesGateway]:
        """The pods that istiod will deploy for Gateways, by Gateway."""
        view = MeshView(self.snapshot, self.settings)
        return {
            pods: gateway
            for gateway in self.snapshot.every(KubernetesGateway)
            for pods in view.predicted_gateway_workloads(gateway)
        }

    def _not_in_the_input(self) -> Iterator[Workload]:
        yield from self.predicted
        yield from (stand_in.workload for stand_in in self.stand_ins)

    def require(self, text: str, port: int | str, protocol: Protocol) -> None:
        """Raises InputError where nothing is called so, without looking at what answers there."""
        if not host_of(text) and find_service(text, port, protocol, self.snapshot) is None:
            find_peer(text, self.snapshot, self._not_in_the_input)

    def find(self, text: str, steps: list[ExplanationStep]) -> Peer:
        """The peer that a person typed; `steps` tell what it is where the text does not."""
        peer = find_peer(text, self.snapshot, self._not_in_the_input)
        if isinstance(peer, PodsPeer) and peer.workload in self.predicted:
            gateway = self.predicted[peer.workload].ref
            steps.append(ExplanationStep(f"{peer} is not in the input: istiod deploys it for {gateway}"))
        if isinstance(peer, PodsPeer) and parse_address(text) is not None:
            steps.append(ExplanationStep(f"{text} is a pod of {peer}"))
        if is_assumed(peer):
            told = (stand_in.assumption for stand_in in self.stand_ins if PodsPeer(stand_in.workload) == peer)
            steps += [ExplanationStep(str(assumption)) for assumption in told]
        return peer


class _CalledEnd(Struct, frozen=True):
    """What is called, in the words of the command line, and what it takes to find it."""

    text: str
    port: int | str
    protocol: Protocol
    client: Peer
    peers: _Peers
    view: MeshView
    gate: HostGate

    @property
    def snapshot(self) -> Snapshot:
        return self.peers.snapshot

    def find(self, steps: list[ExplanationStep]) -> tuple[Backend, Service | None]:
        """The pods or addresses that are called with their own port, and the Service that leads there if one
        does; `steps` tell how it was found."""
        host = host_of(self.text)
        service = find_service(self.text, self.port, self.protocol, self.snapshot)
        if host and service is None:
            resolved = self.view.resolve_host(host, "")
            if not isinstance(resolved, Service):
                number = _number(HostPeer(host), self.port, self.protocol)
                return self._at(self._addresses(host, steps), number, steps)
            service = resolved
        if service is None:
            return self._at_peer(steps)
        backend = self._backend(service, self.port, steps)
        if isinstance(backend.peer, HostPeer):
            return self._at(self._addresses(backend.peer.host, steps), backend.port, steps)
        return backend, service

    def _at_peer(self, steps: list[ExplanationStep]) -> tuple[Backend, Service | None]:
        """The workload or address that the text names, and what is behind an address."""
        peer = self.peers.find(self.text, steps)
        if isinstance(peer, AddressPeer) and (found := self._service_at(peer, self.port, steps)):
            return found
        return Backend(peer, self.protocol, _number(peer, self.port, self.protocol)), None

    def _at(
        self, peer: AddressPeer, number: int, steps: list[ExplanationStep]
    ) -> tuple[Backend, Service | None]:
        return self._service_at(peer, number, steps) or (Backend(peer, self.protocol, number), None)

    def _service_at(
        self, peer: AddressPeer, port: int | str, steps: list[ExplanationStep]
    ) -> tuple[Backend, Service] | None:
        """What is behind the first of the addresses that is one of a Service of the cluster."""
        asker = self.client.workload.namespace if isinstance(self.client, PodsPeer) else ""
        number = port if isinstance(port, int) else 0
        for address in (low for low, high in peer.addresses.ranges() if low == high):
            found = self.view.service_at(address, number, self.protocol, asker)
            if found is not None:
                steps.append(ExplanationStep(f"{address} is an address of {found.service.ref}"))
                return self._backend(found.service, found.port or port, steps), found.service
        return None

    def _backend(self, service: Service, port: int | str, steps: list[ExplanationStep]) -> Backend:
        """Pods of the Service: those that are cut off, if only some are."""
        numbers = [
            service_port.port
            for service_port in service.ports
            if port in (service_port.port, service_port.name) and service_port.protocol is self.protocol
        ]
        asked = f"{port}/{self.protocol}"
        if not numbers:
            offered = (
                ", ".join(f"{service_port.port}/{service_port.protocol}" for service_port in service.ports)
                or "none"
            )
            raise InputError([_problem(f"{service.ref} has no port {asked}", f"its ports: {offered}")])
        found = self.view.backends(service, numbers[0])
        backends = [backend for backend in found if backend.protocol is self.protocol]
        if not backends:
            raise InputError([_problem(f"{service.ref} has no pods in the input", "name a workload instead")])
        followed = next(
            (backend for backend in backends if not self._is_allowed(backend, service)), backends[0]
        )
        translated = f"{service.ref} port {port} is {followed.peer} port {followed.port}"
        is_before = self.snapshot.network.judges_before
        steps.append(
            ExplanationStep(translated if is_before else f"{translated}; policies see the pods' port")
        )
        if len(backends) > 1:
            which = "one that is denied, if any is"
            steps.append(
                ExplanationStep(f"{service.ref} has {len(backends)} kinds of pods; this follows {which}")
            )
        return followed

    def _is_allowed(self, backend: Backend, service: Service) -> bool:
        return all(
            _judged(self.snapshot, self.view, leg, self.protocol, service)[1].verdict.allowed
            for leg in legs(self.view, self.client, backend, service)
        )

    def _addresses(self, host: str, steps: list[ExplanationStep]) -> AddressPeer:
        namespace = self.client.workload.namespace if isinstance(self.client, PodsPeer) else ""
        answer = self.gate.addresses(host, namespace)
        if answer.refused or answer.unresolved:
            cause = answer.refused or f"{host} does not resolve ({answer.unresolved})"
            raise InputError([_problem(cause, f"name its addresses with --address {host}=IP")])
        peer = AddressPeer(answer.addresses, host)
        steps.append(ExplanationStep(f"{host} is {peer.text}"))
        return peer


def _number(peer: Peer, port: int | str, protocol: Protocol) -> int:
    if isinstance(port, int):
        return port
    numbers = peer.workload.named_port(port, protocol) if isinstance(peer, PodsPeer) else ()
    if not numbers:
        raise InputError(
            [_problem(f"{peer} has no {protocol} port named {port!r}", "give the port's number")]
        )
    return numbers[0]


def _kind(client: Peer, server: Peer) -> FlowKind:
    both = isinstance(client, PodsPeer) and isinstance(server, PodsPeer)
    return FlowKind.WORKLOAD_TO_WORKLOAD if both else FlowKind.WORKLOAD_TO_EXTERNAL


def _object(client: Peer, server: Peer) -> ObjectRef:
    """The object that the remedy names as the one that needs it: the client's workload where the input has
    it."""
    refs = [peer.workload.ref for peer in (client, server) if isinstance(peer, PodsPeer)]
    return next((ref for ref in refs if not ref.is_assumed), refs[0])


def _problem(cause: str, remedy: str) -> Problem:
    return Problem.of("arguments", cause, remedy)
