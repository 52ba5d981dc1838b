"""Decodes the policies of the Admin and Baseline tiers, with the checks of their CRDs (network-policy-api,
config/crd/experimental, and v0.1.7 for v1alpha1).

Stricter than those in one thing, as for NetworkPolicies: a field that the API does not know is a problem.
"If an implementation sees no fields are set then it can infer that the deployed CRD is of an incompatible
version": such a peer would be failed closed, and here it is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from istio_netpol.manifests.decode_core import port_or_name, protocol_of, required_port
from istio_netpol.manifests.decode_policy import cidr_of
from istio_netpol.manifests.decode_selectors import selector_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.policies import Direction, PolicyPeer, PolicyPort
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.tiers import LOWEST_PRIORITY, Action, Tier, TierPolicy, TierRule

DOMAIN_NAME = re.compile(
    r"(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?"
)

_ALLOW = {"Allow": Action.ACCEPT, "Deny": Action.DENY, "Pass": Action.PASS}
_ACCEPT = {"Accept": Action.ACCEPT, "Deny": Action.DENY, "Pass": Action.PASS}
_BASELINE = {"Allow": Action.ACCEPT, "Deny": Action.DENY}

_PortDecoder = Callable[[Fields], Iterator[PolicyPort]]


def decode_admin_policy(fields: Fields, ref: ObjectRef) -> Iterator[TierPolicy]:
    """An AdminNetworkPolicy: a policy of the Admin tier."""
    spec = _spec(fields, "priority", "subject", "ingress", "egress")
    yield _policy(fields, spec, ref, Tier.ADMIN, _priority(spec), _ALLOW, _v1alpha1_ports)


def decode_baseline_policy(fields: Fields, ref: ObjectRef) -> Iterator[TierPolicy]:
    """The BaselineAdminNetworkPolicy, of which a cluster has one, named `default`."""
    spec = _spec(fields, "subject", "ingress", "egress")
    if ref.name and ref.name != "default":
        fields.problem("metadata.name", ref.name, "is not default", "a cluster has one, named default")
    yield _policy(fields, spec, ref, Tier.BASELINE, LOWEST_PRIORITY, _BASELINE, _v1alpha1_ports)


def decode_cluster_policy(fields: Fields, ref: ObjectRef) -> Iterator[TierPolicy]:
    """A ClusterNetworkPolicy of either tier."""
    spec = _spec(fields, "tier", "priority", "subject", "ingress", "egress")
    tier = Tier.ADMIN
    try:
        tier = Tier(spec.text("tier"))
    except ValueError:
        spec.problem(spec.at("tier"), spec.content.get("tier"), "is not a tier", "use Admin or Baseline")
    yield _policy(fields, spec, ref, tier, _priority(spec), _ACCEPT, _v1alpha2_ports)


def _spec(fields: Fields, *names: str) -> Fields:
    fields.allow_only("apiVersion", "kind", "metadata", "spec", "status")
    spec = fields.mapping("spec")
    spec.allow_only(*names)
    return spec


def _priority(spec: Fields) -> int:
    priority = spec.integer("priority")
    if not spec.has("priority"):
        spec.problem(spec.at("priority"), None, "is missing", f"use 0 to {LOWEST_PRIORITY}")
    elif not 0 <= priority <= LOWEST_PRIORITY:
        spec.problem(spec.at("priority"), priority, "is not a priority", f"use 0 to {LOWEST_PRIORITY}")
    return priority


def _policy(
    fields: Fields,
    spec: Fields,
    ref: ObjectRef,
    tier: Tier,
    priority: int,
    actions: dict[str, Action],
    ports: _PortDecoder,
) -> TierPolicy:
    namespaces, pods = _subject(spec)
    ingress, egress = (
        tuple(_rule(rule, direction, actions, ports) for rule in spec.mappings(direction.lower()))
        for direction in (Direction.INGRESS, Direction.EGRESS)
    )
    labels = fields.mapping("metadata").strings("labels")
    return TierPolicy(ref, tier, priority, namespaces, pods, ingress, egress, labels)


def _subject(spec: Fields) -> tuple[Selector, Selector]:
    subject = spec.mapping("subject")
    subject.allow_only("namespaces", "pods")
    if subject.has("namespaces") == subject.has("pods"):
        cause = "names no pods" if not subject else "has namespaces beside pods"
        subject.problem(spec.at("subject"), None, cause, "give it either namespaces or pods")
    if subject.has("pods"):
        return _pods(subject.mapping("pods"))
    return selector_of(subject.mapping("namespaces")), EVERYTHING


def _pods(fields: Fields) -> tuple[Selector, Selector]:
    """The selectors of namespaces and of pods, both of which have to be there."""
    fields.allow_only("namespaceSelector", "podSelector")
    for name in ("namespaceSelector", "podSelector"):
        if not fields.has(name):
            fields.problem(fields.at(name), None, "is missing", "write {} to select all")
    namespaces, pods = fields.mapping("namespaceSelector"), fields.mapping("podSelector")
    return selector_of(namespaces), selector_of(pods)


def _rule(fields: Fields, direction: Direction, actions: dict[str, Action], ports: _PortDecoder) -> TierRule:
    is_egress = direction is Direction.EGRESS
    side, matches = "to" if is_egress else "from", "protocols" if ports is _v1alpha2_ports else "ports"
    fields.allow_only("name", "action", side, matches)
    written = fields.text("action")
    if written not in actions:
        remedy = f"use {', '.join(list(actions)[:-1])} or {list(actions)[-1]}"
        fields.problem(fields.at("action"), fields.content.get("action"), "is not an action here", remedy)
    peers = list(fields.mappings(side))
    if not peers:
        fields.problem(fields.at(side), None, "has no entry", "name at least one peer")
    found = [_peer(peer, is_egress) for peer in peers]
    named = tuple(port for entry in fields.mappings(matches) for port in ports(entry))
    if fields.has(matches) and not named:
        fields.problem(fields.at(matches), None, "names no port", "leave it out to match every port")
    rule = TierRule(
        actions.get(written, Action.DENY),
        tuple(peer for found_peers, _, _ in found for peer in found_peers),
        tuple(selector for _, nodes, _ in found for selector in nodes),
        tuple(name for _, _, names in found for name in names),
        named,
        fields.text("name"),
    )
    _check_together(fields, rule, side, matches, written)
    return rule


def _check_together(fields: Fields, rule: TierRule, side: str, matches: str, action: str) -> None:
    """What the CRD says of fields that stand beside each other."""
    is_outside = rule.nodes or rule.domain_names or rule.networks
    if is_outside and any(isinstance(port.port, str) for port in rule.ports):
        cause = "has a port name beside networks, nodes or domainNames, which have no port names"
        fields.problem(fields.at(matches), None, cause, "give the port's number, or make two rules of it")
    if rule.domain_names and rule.action is not Action.ACCEPT:
        cause = f"has domainNames in a rule that says {action}"
        fields.problem(fields.at(side), None, cause, "name the hosts in rules that let them pass only")


_DecodedPeer = tuple[tuple[PolicyPeer, ...], tuple[Selector, ...], tuple[str, ...]]
"""The pods and networks, the nodes, and the domain names of one entry."""


def _peer(fields: Fields, is_egress: bool) -> _DecodedPeer:
    kinds = ("namespaces", "pods", *(("nodes", "networks", "domainNames") if is_egress else ()))
    fields.allow_only(*kinds)
    present = [kind for kind in kinds if fields.has(kind)]
    if len(present) != 1:
        cause = f"has {' beside '.join(present)}" if present else "names no peer"
        fields.problem(fields.path, None, cause, f"give each entry one of {', '.join(kinds)}")
        return (), (), ()
    match present[0]:
        case "namespaces":
            return (PolicyPeer(namespace_selector=selector_of(fields.mapping("namespaces"))),), (), ()
        case "pods":
            namespaces, pods = _pods(fields.mapping("pods"))
            return (PolicyPeer(pod_selector=pods, namespace_selector=namespaces),), (), ()
        case "nodes":
            return (), (selector_of(fields.mapping("nodes")),), ()
        case "networks":
            return _networks(fields), (), ()
    return (), (), _domain_names(fields)


def _networks(fields: Fields) -> tuple[PolicyPeer, ...]:
    texts = fields.texts("networks")
    if not texts:
        fields.problem(fields.at("networks"), None, "has no entry", "name at least one CIDR")
    found = (cidr_of(fields, f"networks[{index}]", text) for index, text in enumerate(texts))
    return tuple(PolicyPeer(ip_block=IpBlock(cidr)) for cidr in found if cidr)


def _domain_names(fields: Fields) -> tuple[str, ...]:
    names = fields.texts("domainNames")
    if not names:
        fields.problem(fields.at("domainNames"), None, "has no entry", "name at least one domain")
    for index, name in enumerate(names):
        if not DOMAIN_NAME.fullmatch(name):
            remedy = "write a name with a dot, such as example.com or *.example.com"
            fields.problem(fields.at(f"domainNames[{index}]"), name, "is not a domain name", remedy)
    return names


def _v1alpha1_ports(fields: Fields) -> Iterator[PolicyPort]:
    """One entry of `ports`: a number, a range, or a name of whatever protocol."""
    kinds = ("portNumber", "portRange", "namedPort")
    kind = _only(fields, kinds)
    if kind == "namedPort":
        yield from _named(fields, "namedPort")
    elif kind:
        entry = fields.mapping(kind)
        entry.allow_only("protocol", *(("port",) if kind == "portNumber" else ("start", "end")))
        protocol = protocol_of(entry)
        if kind == "portNumber":
            yield PolicyPort(protocol, required_port(entry, "port"))
        else:
            yield _range(entry, protocol)


def _v1alpha2_ports(fields: Fields) -> Iterator[PolicyPort]:
    """One entry of `protocols`: a port or a range of one protocol, or a name of whatever protocol."""
    protocols = {protocol.lower(): protocol for protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP)}
    kind = _only(fields, (*protocols, "destinationNamedPort"))
    if kind == "destinationNamedPort":
        yield from _named(fields, kind)
    elif kind:
        entry = fields.mapping(kind)
        entry.allow_only("destinationPort")
        if not entry.has("destinationPort"):
            entry.problem(entry.at("destinationPort"), None, "is missing", "give it a number or a range")
            return
        port = entry.mapping("destinationPort")
        match _only(port, ("number", "range")):
            case "number":
                yield PolicyPort(protocols[kind], required_port(port, "number"))
            case "range":
                entry = port.mapping("range")
                entry.allow_only("start", "end")
                yield _range(entry, protocols[kind])


def _only(fields: Fields, kinds: tuple[str, ...]) -> str:
    """The one of these fields that is there; empty with a problem where there is none, or several."""
    fields.allow_only(*kinds)
    present = [kind for kind in kinds if fields.has(kind)]
    if len(present) == 1:
        return present[0]
    cause = f"has {' beside '.join(present)}" if present else "names no port"
    fields.problem(fields.path, None, cause, f"give each entry one of {', '.join(kinds)}")
    return ""


def _named(fields: Fields, name: str) -> Iterator[PolicyPort]:
    """A port name, which stands for the ports of that name of every protocol."""
    written = port_or_name(fields, name)
    if isinstance(written, str):
        yield from (PolicyPort(protocol, written) for protocol in Protocol)
    else:
        fields.problem(fields.at(name), written, "is not a port name", "write the name of a container port")


def _range(fields: Fields, protocol: Protocol) -> PolicyPort:
    start, end = required_port(fields, "start"), required_port(fields, "end")
    if start and end and start >= end:
        remedy = "make it the last number of the range, or give one port by its number"
        fields.problem(fields.at("end"), end, f"is not higher than start {start}", remedy)
    return PolicyPort(protocol, start, end)
