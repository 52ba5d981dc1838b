"""Finds which connections speak mutual TLS, and which plaintext meets a proxy that refuses it.

Sources (Istio 1.31): `ComposePeerAuthentication` in `pilot/pkg/security/authn/policy_applier.go`: a policy
with a selector goes before its namespace's, that before the root namespace's, and the oldest counts;
`portLevelMtls` counts with a selector only. `checkMtlsEnabled` in `pilot/pkg/xds/endpoints/mtls_checker.go`:
a client's DestinationRule decides, else it sends mutual TLS to whoever has a proxy that takes it.
`destinationRule` in `pilot/pkg/model/push_context.go`: rules of the client's namespace go first, then the
Service's, then the root namespace's. istio.io/latest/docs/reference/config/annotations/: ports that are kept
from the proxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from istio_netpol.istio.hbone import tunnels
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import is_exported, overlap
from istio_netpol.model.connections import parse_port
from istio_netpol.model.flows import Peer, PodsPeer
from istio_netpol.model.istio_networking import ClientTlsMode, DestinationRule
from istio_netpol.model.istio_security import MutualTls, PeerAuthentication
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

EXCLUDED_IN = "traffic.sidecar.istio.io/excludeInboundPorts"
INCLUDED_IN = "traffic.sidecar.istio.io/includeInboundPorts"
EXCLUDED_OUT = "traffic.sidecar.istio.io/excludeOutboundPorts"

PLAINTEXT_PROXY_PORTS = frozenset({15020, 15021, 15090})
"""Ports of the proxy itself, which it answers without mutual TLS."""


class Sent(StrEnum):
    """What a client puts on the wire. TLS is made by the client or its application, without a certificate of
    the mesh; UNKNOWN is what nobody can tell."""

    MUTUAL_TLS = "mutual TLS"
    PLAINTEXT = "plaintext"
    TLS = "TLS without a certificate of the mesh"
    UNKNOWN = "what can't be told"


class StatedFact(Struct, frozen=True):
    """A fact about one side, with the objects that show it, and why."""

    objects: tuple[ObjectRef, ...]
    why: str


class AcceptedTraffic(StatedFact, frozen=True):
    """The traffic that a server accepts; `mode` is None where that can't be told, `is_captured` False where
    no proxy is before the port."""

    mode: MutualTls | None = MutualTls.PERMISSIVE
    is_captured: bool = True


class OfferedTraffic(StatedFact, frozen=True):
    """The traffic that a client sends."""

    sent: Sent = Sent.UNKNOWN


class Called(Struct, frozen=True):
    """What is called: the pods and their own port, and the Service with its port that leads there, if one
    does; `host` is the name that it is called by where it is not the Service's."""

    pods: Workload
    port: int
    service: Service | None = None
    service_port: int = 0


def accepted(view: MeshView, called: Called) -> AcceptedTraffic:
    """The traffic that the proxy before a port accepts."""
    pods, port = called.pods, called.port
    if not view.in_mesh(pods):
        return AcceptedTraffic((), f"{pods.ref} is not in the mesh", MutualTls.DISABLE, False)
    if view.is_gateway(pods):
        why = f"{pods.ref} is a gateway, whose own listeners decide what they accept"
        return AcceptedTraffic((), why, MutualTls.PERMISSIVE, False)
    if port in PLAINTEXT_PROXY_PORTS:
        return AcceptedTraffic((), f"{port} is a port of the proxy itself", MutualTls.DISABLE, False)
    if not view.is_ambient(pods) and (annotation := _kept_from_proxy(pods, port)):
        why = f"annotation {annotation} of {pods.ref} keeps port {port} from its proxy"
        return AcceptedTraffic((), why, MutualTls.DISABLE, False)
    return _by_policies(view, pods, port)


def _kept_from_proxy(pods: Workload, port: int) -> str:
    """The annotation by which a port bypasses the sidecar; empty where none does."""
    if port in _ports(pods.annotations.get(EXCLUDED_IN, "")):
        return EXCLUDED_IN
    included = pods.annotations.get(INCLUDED_IN, "*").strip()
    return INCLUDED_IN if included != "*" and port not in _ports(included) else ""


def _ports(written: str) -> frozenset[int]:
    ports = (parse_port(part.strip()) for part in written.split(","))
    return frozenset(port for port in ports if port is not None)


def _by_policies(view: MeshView, pods: Workload, port: int) -> AcceptedTraffic:
    """The mode of the narrowest PeerAuthentication that has one."""
    root = view.root_namespace
    own = view.all(PeerAuthentication, pods.namespace)
    selecting = [
        policy for policy in own if policy.selector and policy.selector.items() <= pods.labels.items()
    ]
    scopes = (
        selecting if pods.namespace != root else [],
        [policy for policy in own if not policy.selector] if pods.namespace != root else [],
        [policy for policy in view.all(PeerAuthentication, root) if not policy.selector],
    )
    for index, scope in enumerate(scopes):
        found = _oldest(scope)
        refs = tuple(policy.ref for policy in found)
        modes = {_mode(policy, port if index == 0 else 0) for policy in found}
        if len(modes) > 1:
            names = " and ".join(map(str, refs))
            return AcceptedTraffic(refs, f"the oldest of {names} counts, and nothing says which it is", None)
        for mode in modes - {MutualTls.UNSET}:
            where = f" for port {port}" if index == 0 and port in found[0].ports else ""
            return AcceptedTraffic(refs[:1], f"{refs[0]} says {mode}{where}", mode)
    return AcceptedTraffic(
        (), "no PeerAuthentication says otherwise, so PERMISSIVE holds", MutualTls.PERMISSIVE
    )


def _mode(policy: PeerAuthentication, port: int) -> MutualTls:
    of_port = policy.ports.get(port, MutualTls.UNSET)
    return policy.mode if of_port is MutualTls.UNSET else of_port


def _oldest(policies: Sequence[PeerAuthentication]) -> list[PeerAuthentication]:
    """The policy that was stored first; all of them where one has no time of creation."""
    dated = sorted(policies, key=lambda policy: (policy.created, policy.ref.name))
    if all(policy.created for policy in dated):
        return [policy for policy in dated if policy.created == dated[0].created]
    return dated


def offered(view: MeshView, client: Peer, called: Called, takes: AcceptedTraffic) -> OfferedTraffic:
    """What a client's own proxy sends."""
    if not isinstance(client, PodsPeer):
        return OfferedTraffic((), f"{client} is outside the mesh", Sent.PLAINTEXT)
    pods = client.workload
    if not view.in_mesh(pods):
        return OfferedTraffic((), f"{client} is not in the mesh", Sent.PLAINTEXT)
    if tunnels(view, pods, called.pods):
        return OfferedTraffic((), "ambient mode carries it in a tunnel", Sent.MUTUAL_TLS)
    if view.is_ambient(pods):
        return OfferedTraffic((), f"ztunnel passes on to {called.pods.ref} what it gets", Sent.PLAINTEXT)
    if (called.service_port or called.port) in _ports(pods.annotations.get(EXCLUDED_OUT, "")):
        why = f"annotation {EXCLUDED_OUT} of {client} keeps the port from its proxy"
        return OfferedTraffic((), why, Sent.PLAINTEXT)
    return _by_rules(view, pods, called, takes)


def _by_rules(view: MeshView, client: Workload, called: Called, takes: AcceptedTraffic) -> OfferedTraffic:
    """What an Envoy sends: what a DestinationRule says, or without one what the server takes."""
    if called.service is None:
        why = f"no Service of the input leads to port {called.port} of {called.pods.ref}"
        return OfferedTraffic((), f"{why}, and how a proxy calls a bare address is not known", Sent.UNKNOWN)
    rules = destination_rules(view, client, called.service)
    modes = {mode for rule in rules for mode in _client_modes(rule, called.service_port)}
    refs = tuple(rule.ref for rule in rules)
    if len(modes) > 1:
        names = " and ".join(map(str, refs))
        why = f"{names} {'says' if len(refs) == 1 else 'say'} several modes, and which one holds is not known"
        return OfferedTraffic(refs, why, Sent.UNKNOWN)
    if modes:
        (mode,) = modes
        return OfferedTraffic(refs, f"{refs[0]} says {mode}", _SENT[mode])
    config = view.mesh_config(view.injection(client).revision)
    if config is not None and not config.auto_mtls:
        return OfferedTraffic((config.ref,), f"{config.ref} turns enableAutoMtls off", Sent.PLAINTEXT)
    if not takes.is_captured or takes.mode is MutualTls.DISABLE:
        return OfferedTraffic((), f"{takes.why}, so its clients send plaintext", Sent.PLAINTEXT)
    return OfferedTraffic((), "proxies send mutual TLS to each other", Sent.MUTUAL_TLS)


_SENT = {
    ClientTlsMode.DISABLE: Sent.PLAINTEXT,
    ClientTlsMode.SIMPLE: Sent.TLS,
    ClientTlsMode.MUTUAL: Sent.UNKNOWN,
    ClientTlsMode.ISTIO_MUTUAL: Sent.MUTUAL_TLS,
}


def _client_modes(rule: DestinationRule, port: int) -> set[ClientTlsMode]:
    """The modes for a port of the Service: the rule's own, and those of its subsets, since only a route says
    which subset a call takes."""
    settings = (rule.tls, *rule.subset_tls.values())
    return {mode for setting in settings if (mode := setting.on(port)) is not None}


def destination_rules(view: MeshView, client: Workload, service: Service) -> tuple[DestinationRule, ...]:
    """The DestinationRules that a client's proxy applies to a Service: those of the first namespace that has
    some, for the most specific host; those with a workloadSelector that selects it before the others. What
    the root namespace keeps to itself goes first for its own proxies, its other rules last for everybody."""
    root, own = view.root_namespace, client.namespace
    for home in dict.fromkeys((own, service.namespace, root)):
        rules = [
            rule
            for rule in view.all(DestinationRule, home)
            if _is_seen(rule, client) and not (home == own == root and rule.export_to != (".",))
        ]
        if found := _most_specific(view, rules, view.service_host(service)):
            return found
    return _of_root(view, client, service) if own == root else ()


def _of_root(view: MeshView, client: Workload, service: Service) -> tuple[DestinationRule, ...]:
    rules = [rule for rule in view.all(DestinationRule, view.root_namespace) if _is_seen(rule, client)]
    return _most_specific(view, rules, view.service_host(service))


def _is_seen(rule: DestinationRule, client: Workload) -> bool:
    """Whether a rule is exported to a client's namespace, and selects the client if it has a selector."""
    home = rule.ref.namespace
    if rule.workload_selector is not None:
        return home == client.namespace and rule.workload_selector.items() <= client.labels.items()
    return home == client.namespace or is_exported(rule.export_to, home, client.namespace)


def _most_specific(view: MeshView, rules: list[DestinationRule], host: str) -> tuple[DestinationRule, ...]:
    """The rules for the host itself, else those for the longest wildcard that covers it; of these the ones
    that select the client, if any do."""
    named = [(view.full_name(rule.host, rule.ref.namespace), rule) for rule in rules]
    covering = [(written, rule) for written, rule in named if overlap(written, host)]
    exact = [rule for written, rule in covering if written == host]
    if not exact and covering:
        longest = max(len(written) for written, _ in covering)
        exact = [rule for written, rule in covering if len(written) == longest]
    selecting = [rule for rule in exact if rule.workload_selector is not None]
    return tuple(selecting or exact)


class TlsOutcome(StrEnum):
    """Whether a connection passes, given what is sent and what is accepted."""

    PASSES = "passes"
    REFUSED = "refused"
    UNKNOWN = "unknown"


def outcome(sent: Sent, takes: AcceptedTraffic) -> TlsOutcome:
    """Whether a server takes what a client sends. For TLS in TLS, and for what an application speaks itself,
    nobody can tell."""
    if takes.mode is None or sent is Sent.UNKNOWN:
        lets_all_in = takes.is_captured and takes.mode is MutualTls.PERMISSIVE
        return TlsOutcome.PASSES if lets_all_in else TlsOutcome.UNKNOWN
    if takes.mode is MutualTls.STRICT:
        return TlsOutcome.PASSES if sent is Sent.MUTUAL_TLS else TlsOutcome.REFUSED
    if takes.mode is MutualTls.DISABLE and sent is Sent.MUTUAL_TLS:
        return TlsOutcome.UNKNOWN
    return TlsOutcome.PASSES
