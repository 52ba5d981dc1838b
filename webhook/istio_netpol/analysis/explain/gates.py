"""All that one connection has to pass, in the order of its way, each gate with the objects that decide.

`injection`: whether an end is in the mesh, and why. `sidecar-scope`: whether the client's proxy knows the
host. `mesh-route`: where VirtualServices send the call instead. `egress-policy`, `ingress-policy`,
`admin-tier`, `baseline-tier`: see `policy_gates.py`. `mtls`: whether the server's proxy takes what the client
sends. `request-authentication`: which tokens are accepted. `authorization`: AuthorizationPolicies. More may
come: readers pass over gates that they do not know. What happens to a connection behind its last gate, nobody
here knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.ambient.tunnels import legs
from istio_netpol.analysis.assumed_pods import is_assumed, opened
from istio_netpol.analysis.denial_wording import as_plugin_sees
from istio_netpol.analysis.explain.policy_gates import policy_gates
from istio_netpol.analysis.results import Gate
from istio_netpol.istio.authorization import AuthorizationDecision, Entrance, RequestSource, decisions
from istio_netpol.istio.authorized_clients import trust_domains
from istio_netpol.istio.mesh_routes import Call, mesh_routes, rerouted, routes_on
from istio_netpol.istio.mutual_tls import (
    AcceptedTraffic,
    Called,
    OfferedTraffic,
    Sent,
    TlsOutcome,
    accepted,
    offered,
    outcome,
)
from istio_netpol.istio.policy_attachment import attached, is_waypoint
from istio_netpol.istio.sidecar_scope import lets_in, sidecar_of
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, PodsPeer
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.istio_security import AuthorizationPolicy, RequestAuthentication
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import UNKNOWN_REQUEST, Match, RequestFacts
from istio_netpol.model.services import DIRECTLY, Dialled, Service
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot


class Passage(Struct, frozen=True):
    """A connection: who calls whom on which of its ports. `service` and `service_port` are by which Service
    it is called, where that is known; `request` is what is known of an HTTP request in it."""

    source: Peer
    destination: Peer
    protocol: Protocol
    port: int
    service: Service | None = None
    service_port: int = 0
    request: RequestFacts = UNKNOWN_REQUEST
    passes_proxies_by: bool = False
    dialled: Dialled = DIRECTLY


def gates(snapshot: Snapshot, view: MeshView, passage: Passage) -> tuple[Gate, ...]:
    """What a connection has to pass, in order; `view` is one of `snapshot`, which has what injection adds."""
    passage = _by_its_service(view, passage)
    found = list(_outset(view, passage))
    called = Backend(passage.destination, passage.protocol, passage.port)
    for leg in legs(view, passage.source, called, passage.service):
        how = passage.dialled if leg.is_as_asked else DIRECTLY
        verdict = judge(snapshot, leg.source, leg.destination, passage.protocol, leg.port, dialled=how)
        verdict = opened(verdict, leg.source, leg.destination)
        ends, port = (leg.source, leg.destination), (passage.protocol, leg.port)
        seen = {
            direction: as_plugin_sees(snapshot, ends, port, direction, verdict.side(direction))
            for direction in Direction
        }
        found += policy_gates(verdict, *ends, *port, seen)
        here = replace(passage, source=leg.source, destination=leg.destination)
        found += _at_destination(view, here, is_last=leg.destination == passage.destination)
    return tuple(dict.fromkeys(found))


def _by_its_service(view: MeshView, passage: Passage) -> Passage:
    """The passage with the Service that leads to its pods, and that Service's port, where the user named
    neither."""
    peer = passage.destination
    if passage.service_port or not isinstance(peer, PodsPeer):
        return passage
    called = (peer, passage.protocol, passage.port)
    for service in (passage.service,) if passage.service else view.services_of(peer.workload):
        for port in service.ports:
            behind = view.backends(service, port.port)
            if any((backend.peer, backend.protocol, backend.port) == called for backend in behind):
                return replace(passage, service=service, service_port=port.port)
    return passage


def _outset(view: MeshView, passage: Passage) -> Iterator[Gate]:
    """Where the client stands."""
    yield from _injection(view, passage.source)
    source = passage.source
    if (
        isinstance(source, PodsPeer)
        and passage.protocol is Protocol.TCP
        and not passage.passes_proxies_by
        and view.injection(source.workload).injected
        and not view.is_gateway(source.workload)
    ):
        yield from _scope(view, source.workload, passage)
        yield from _mesh_routes(view, source.workload, passage)


def _mesh_routes(view: MeshView, client: Workload, passage: Passage) -> Iterator[Gate]:
    """What VirtualServices of the mesh make of a call, where they do not leave all of it to its Service."""
    service = passage.service
    if service is None:
        return
    host = view.service_host(service)
    call = Call(client, host, passage.service_port, routes_on(service, passage.service_port))
    where = rerouted(mesh_routes(view, host, client.namespace), call)
    elsewhere = [
        leg for leg in where.legs if view.full_name(leg.destination.host, leg.written_in.namespace) != host
    ]
    if elsewhere:
        refs = tuple(dict.fromkeys(leg.written_in for leg in elsewhere))
        names = ", ".join(dict.fromkeys(leg.destination.host for leg in elsewhere))
        part = "all of it" if where.is_whole and len(elsewhere) == len(where.legs) else "some of it"
        routing = ", ".join(map(str, refs))
        text = f"{routing} sends calls of {host} elsewhere, {part}: to {names}; explain that connection too"
        yield Gate("mesh-route", refs, None, text)


def _injection(view: MeshView, peer: Peer) -> Iterator[Gate]:
    if not isinstance(peer, PodsPeer) or is_assumed(peer):
        return
    pods = peer.workload
    injection = view.injection(pods)
    namespace = ObjectRef("v1", "Namespace", "", pods.namespace)
    if view.is_gateway(pods):
        yield Gate("injection", (pods.ref,), True, f"{peer} is in the mesh: it runs a gateway's proxy")
    elif injection.injected:
        text = f"{peer} is in the mesh, with a sidecar: {injection.reason}"
        yield Gate("injection", (namespace,), True, text)
    elif view.is_ambient(pods):
        text = (
            f"{peer} is in the mesh, in ambient mode: its namespace or its pods have istio.io/dataplane-mode"
        )
        yield Gate("injection", (namespace,), True, text)
    else:
        yield Gate("injection", (namespace,), True, f"{peer} is not in the mesh: {injection.reason}")


def _scope(view: MeshView, client: Workload, passage: Passage) -> Iterator[Gate]:
    """Whether the client's proxy knows what is called; what it does with the rest."""
    named = _named(view, client, passage)
    if named is None:
        return
    home, host, is_registered = named
    sidecar = sidecar_of(view, client)
    known = is_registered and (
        sidecar is None or lets_in(view, sidecar, client, home, host, passage.service_port)
    )
    if known and sidecar is None:
        yield Gate("sidecar-scope", (), True, f"no Sidecar narrows what {client.ref} may call")
    elif known and sidecar is not None:
        yield Gate("sidecar-scope", (sidecar.ref,), True, f"{sidecar.ref} lets {client.ref} know {host}")
    else:
        refs = (sidecar.ref,) if sidecar is not None and is_registered else ()
        why = f"{sidecar.ref} leaves it out" if sidecar and is_registered else "no ServiceEntry names it"
        yield _outside(
            _outbound_policy(view, client), refs, f"the proxy of {client.ref} does not know {host}: {why}"
        )


def _named(view: MeshView, client: Workload, passage: Passage) -> tuple[str, str, bool] | None:
    """The namespace and the host of what is called, and whether the mesh knows it; None for bare addresses
    and pods without a Service."""
    if passage.service is not None:
        return passage.service.namespace, view.service_host(passage.service), True
    peer = passage.destination
    host = peer.host if isinstance(peer, AddressPeer | HostPeer) else ""
    if not host:
        return None
    entry = view.resolve_host(host, client.namespace)
    if isinstance(entry, ServiceEntry):
        return entry.ref.namespace, host, True
    return "", host, False


def _outbound_policy(view: MeshView, client: Workload) -> str:
    """What the client's proxy does with hosts that it does not know; empty where nothing says."""
    sidecar = sidecar_of(view, client)
    if sidecar is not None and sidecar.outbound_policy:
        return sidecar.outbound_policy
    config = view.mesh_config(view.injection(client).revision)
    return config.outbound_policy if config is not None else ""


def _outside(policy: str, refs: tuple[ObjectRef, ...], why: str) -> Gate:
    if policy == "REGISTRY_ONLY":
        return Gate("sidecar-scope", refs, False, f"{why}, and outboundTrafficPolicy REGISTRY_ONLY drops it")
    if policy.startswith("ALLOW_ANY"):
        text = f"{why}, so it is passed on as it is, without mutual TLS (outboundTrafficPolicy {policy})"
        return Gate("sidecar-scope", refs, True, text)
    text = f"{why}; outboundTrafficPolicy of the mesh config decides on it, and the input lacks that"
    return Gate("sidecar-scope", refs, None, text)


def _at_destination(view: MeshView, passage: Passage, *, is_last: bool) -> Iterator[Gate]:
    """What the proxy of the destination, or of a waypoint on the way, lets in."""
    peer = passage.destination
    if not isinstance(peer, PodsPeer):
        return
    yield from _injection(view, peer)
    if passage.passes_proxies_by:
        return
    if passage.protocol is not Protocol.TCP:
        text = f"Istio's proxies carry TCP alone: {passage.protocol} passes them by"
        yield Gate("mtls", (), True, text)
        return
    pods = peer.workload
    called = Called(pods, passage.port, passage.service, passage.service_port)
    takes = accepted(view, called)
    sends = _sent(view, passage, called, takes)
    if is_last:
        yield _mutual_tls(passage.source, peer, takes, sends)
    if takes.is_captured or view.is_gateway(pods):
        yield from _requests(view, passage, peer, sends)
    else:
        yield from _not_carried_out(view, pods, passage.service, takes)


def _sent(view: MeshView, passage: Passage, called: Called, takes: AcceptedTraffic) -> OfferedTraffic:
    """What the client sends: past its proxy's configuration, what the application does."""
    source = passage.source
    if isinstance(source, PodsPeer) and called.service is not None:
        client = source.workload
        sidecar = sidecar_of(view, client) if view.injection(client).injected else None
        if sidecar is not None and not view.is_gateway(client):
            host = view.service_host(called.service)
            if not lets_in(view, sidecar, client, called.service.namespace, host, called.service_port):
                is_known = _outbound_policy(view, client).startswith("ALLOW_ANY")
                sent = Sent.PLAINTEXT if is_known else Sent.UNKNOWN
                return OfferedTraffic((sidecar.ref,), f"{sidecar.ref} hides {host} from its proxy", sent)
    return offered(view, source, called, takes)


def _mutual_tls(source: Peer, destination: PodsPeer, takes: AcceptedTraffic, sends: OfferedTraffic) -> Gate:
    refs = tuple(dict.fromkeys((*takes.objects, *sends.objects)))
    result = outcome(sends.sent, takes)
    if result is TlsOutcome.REFUSED:
        text = (
            f"{source} sends {sends.sent} ({sends.why}), but {destination} accepts mutual TLS only: "
            f"{takes.why}"
        )
        return Gate("mtls", refs, False, text)
    if not takes.is_captured and sends.sent is not Sent.MUTUAL_TLS:
        return Gate("mtls", refs, True, f"no proxy asks for mutual TLS: {takes.why}")
    if result is TlsOutcome.PASSES:
        text = (
            f"{destination} accepts whatever is sent ({takes.why})"
            if sends.sent is Sent.UNKNOWN
            else f"{source} sends {sends.sent} ({sends.why}), and {destination} accepts it ({takes.why})"
        )
        return Gate("mtls", refs, True, text)
    sent = (
        f"it is unknown what {source} sends ({sends.why}), and whether {destination} accepts it"
        if sends.sent is Sent.UNKNOWN
        else f"{source} sends {sends.sent} ({sends.why}), and it is unknown whether {destination} accepts it"
    )
    text = f"{sent} ({takes.why})"
    return Gate("mtls", refs, None, text)


def _requests(view: MeshView, passage: Passage, peer: PodsPeer, sends: OfferedTraffic) -> Iterator[Gate]:
    """What RequestAuthentications and AuthorizationPolicies say at a proxy."""
    pods = peer.workload
    entrance = _entrance(view, pods, passage)
    if not entrance.sees_no_request:
        for authentication in attached(view, RequestAuthentication, pods, passage.service):
            if authentication.jwt_rules:
                text = (
                    f"{authentication.ref} answers 401 to a token that it does not accept; requests without "
                    "a token pass it"
                )
                yield Gate("request-authentication", (authentication.ref,), None, text)
    policies = attached(view, AuthorizationPolicy, pods, passage.service)
    caller = _caller(view, passage.source, sends)
    decided = decisions(policies, caller, entrance, passage.request)
    if not decided:
        left = (
            "; those in dry-run mode refuse nobody" if any(policy.is_on_trial for policy in policies) else ""
        )
        none = "no AuthorizationPolicy refuses it" if policies else "no AuthorizationPolicy holds"
        yield Gate("authorization", (), True, f"{none} at {peer}{left}")
    yield from (_decided(gate, passage) for gate in decided)


def _entrance(view: MeshView, pods: Workload, passage: Passage) -> Entrance:
    if is_waypoint(view, pods):
        return Entrance(passage.service_port or passage.port)
    service = passage.service
    kinds = routes_on(service, passage.service_port) if service else frozenset()
    is_http = None if not kinds or view.is_gateway(pods) else "http" in kinds
    return Entrance(passage.port, is_http, view.is_ambient(pods))


def _caller(view: MeshView, source: Peer, sends: OfferedTraffic) -> RequestSource:
    known = {Sent.MUTUAL_TLS: Match.YES, Sent.UNKNOWN: Match.MAYBE}
    shown = known.get(sends.sent, Match.NO)
    if isinstance(source, AddressPeer):
        return RequestSource(addresses=source.addresses)
    if not isinstance(source, PodsPeer):
        return RequestSource()
    pods = source.workload
    addresses = AddressSet.of(*pods.addresses) if pods.addresses else None
    return RequestSource(pods.namespace, pods.service_account, trust_domains(view, pods), shown, addresses)


def _decided(decision: AuthorizationDecision, passage: Passage) -> Gate:
    refs = tuple(policy.ref for policy in decision.policies)
    names, action = ", ".join(map(str, refs)), decision.policies[0].action
    depends = ", ".join(decision.open)
    source = passage.source
    if action == "CUSTOM":
        which = f" about requests by their {depends}" if depends else ""
        text = f"{names} asks provider {decision.policies[0].provider}{which}: its answer is not known"
    elif action == "DENY":
        text = (
            f"{names} denies what matches, which depends on {depends}"
            if decision.passes is None
            else f"{names} denies it (RBAC: access denied)"
        )
    elif decision.passes is None:
        text = f"{names} lets in what matches, which depends on {depends}"
    elif decision.passes:
        text = f"{names} lets {source} in"
    elif any(policy.rules for policy in decision.policies):
        text = f"no rule of {names} lets {source} in (RBAC: access denied)"
    else:
        text = f"{names} has no rules, so it lets nobody in (RBAC: access denied)"
    return Gate("authorization", refs, decision.passes, text)


def _not_carried_out(
    view: MeshView, pods: Workload, service: Service | None, takes: AcceptedTraffic
) -> Iterator[Gate]:
    policies = attached(view, AuthorizationPolicy, pods, service)
    if policies:
        names = ", ".join(str(policy.ref) for policy in policies)
        text = f"no proxy enforces {names}: {takes.why}"
        yield Gate("authorization", tuple(policy.ref for policy in policies), True, text)
