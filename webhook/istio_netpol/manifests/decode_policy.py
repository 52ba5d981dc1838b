"""Decodes NetworkPolicies, with the defaults and checks of the API server (Kubernetes 1.36).

The checks are those of `pkg/apis/networking/validation/validation.go`, and one that is stricter: a field
that the API does not know (`form` for `from` would open a rule to everybody). CIDRs with host bits, leading
zeros or an IPv4 range in IPv6 are read as they were meant: new ones are refused (feature gate
StrictIPCIDRValidation), but those that were stored before 1.36 live on, and so in dumps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Network

from istio_netpol.manifests.decode_core import port_number, port_or_name, protocol_of
from istio_netpol.manifests.decode_selectors import selector_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.addresses import AddressSet, IpBlock, Network, ipv4_exceptions, parse_cidr
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef

CIDR = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")
"""Neither an IPv6 zone nor a netmask, both of which `ipaddress` would take."""

CIDR_REMEDY = "write an address and a prefix length, such as 192.0.2.0/24 or 2001:db8::/64"

LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
LEADING_ZERO_LENGTH = re.compile(r"/0+(?=[0-9])")


def decode_policy(fields: Fields, ref: ObjectRef) -> Iterator[NetworkPolicy]:
    """A NetworkPolicy; an absent podSelector is taken as `{}`, as the API server does."""
    fields.allow_only("apiVersion", "kind", "metadata", "spec", "status")
    metadata, spec = fields.mapping("metadata"), fields.mapping("spec")
    spec.allow_only("podSelector", "policyTypes", "ingress", "egress")
    ingress = tuple(_rule(rule, "from") for rule in spec.mappings("ingress"))
    egress = tuple(_rule(rule, "to") for rule in spec.mappings("egress"))
    yield NetworkPolicy(
        ref=ref,
        pod_selector=selector_of(spec.mapping("podSelector")) if spec.has("podSelector") else EVERYTHING,
        policy_types=_policy_types(spec, bool(egress)),
        ingress=ingress,
        egress=egress,
        labels=metadata.strings("labels"),
        annotations=metadata.strings("annotations"),
    )


def _policy_types(spec: Fields, has_egress: bool) -> frozenset[Direction]:
    """The directions of `policyTypes`. Where it is absent or empty: Ingress, and Egress if there are egress
    rules."""
    texts = spec.texts("policyTypes")
    if not texts:
        return frozenset(Direction) if has_egress else frozenset({Direction.INGRESS})
    if len(texts) > 2:
        spec.problem(
            spec.at("policyTypes"), list(texts), "has more than two entries", "name each direction once"
        )
    found = set()
    for index, text in enumerate(texts):
        try:
            found.add(Direction(text))
        except ValueError:
            spec.problem(
                f"{spec.at('policyTypes')}[{index}]", text, "is not a policy type", "use Ingress or Egress"
            )
    return frozenset(found)


def _rule(fields: Fields, peers: str) -> PolicyRule:
    fields.allow_only(peers, "ports")
    return PolicyRule(
        peers=tuple(_peer(peer) for peer in fields.mappings(peers)),
        ports=tuple(_port(port) for port in fields.mappings("ports")),
    )


def _peer(fields: Fields) -> PolicyPeer:
    fields.allow_only("podSelector", "namespaceSelector", "ipBlock")
    pods, namespaces, block = (
        fields.optional("podSelector"),
        fields.optional("namespaceSelector"),
        fields.optional("ipBlock"),
    )
    if pods is None and namespaces is None and block is None:
        fields.problem(
            fields.path, None, "names no peer", "give it a podSelector, a namespaceSelector or an ipBlock"
        )
    if block is not None and (pods is not None or namespaces is not None):
        fields.problem(
            fields.path, None, "has an ipBlock beside selectors", "make them two entries of the list"
        )
    return PolicyPeer(
        pod_selector=None if pods is None else selector_of(pods),
        namespace_selector=None if namespaces is None else selector_of(namespaces),
        ip_block=None if block is None else _block(block),
    )


def _block(fields: Fields) -> IpBlock | None:
    fields.allow_only("cidr", "except")
    written, excepted = fields.text("cidr"), fields.texts("except")
    known = ipv4_exceptions(written, excepted)
    if known is not None:
        return IpBlock(written, excepted, known)
    whole = _cidr_and_network(fields, "cidr", written)
    exceptions: list[tuple[str, Network] | None] = []
    for index, text in enumerate(excepted):
        path = f"except[{index}]"
        inner = _cidr_and_network(fields, path, text)
        exceptions.append(inner)
        if whole and inner and not _strictly_within(inner[1], whole[1]):
            fields.problem(
                fields.at(path),
                text,
                f"is not within {whole[1]}, or is all of it",
                "name a smaller range inside the cidr",
            )
    if whole is None:
        return None
    addresses = AddressSet.of(whole[1]) - AddressSet.of(*(inner[1] for inner in exceptions if inner))
    return IpBlock(whole[0], tuple(inner[0] if inner else "" for inner in exceptions), addresses)


def cidr_of(fields: Fields, name: str, text: str) -> str | None:
    """The CIDR that a text spells, as `ipaddress` reads it; None, and a problem, for any other text."""
    found = _cidr_and_network(fields, name, text)
    return found[0] if found else None


def _cidr_and_network(fields: Fields, name: str, text: str) -> tuple[str, Network] | None:
    plain = LEADING_ZEROS.sub("", text) if ":" not in text else LEADING_ZERO_LENGTH.sub("/", text)
    try:
        if not CIDR.fullmatch(plain):
            raise ValueError("no address with a prefix length")
        network = parse_cidr(plain)
    except ValueError:
        fields.problem(fields.at(name), text, "is not a CIDR", CIDR_REMEDY)
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None:
        return plain, network
    plain = f"{mapped}/{network.prefixlen - 96}"
    return plain, parse_cidr(plain)


def _strictly_within(inner: Network, outer: Network) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen > outer.prefixlen
        and int(inner.network_address) >> (outer.max_prefixlen - outer.prefixlen)
        == int(outer.network_address) >> (outer.max_prefixlen - outer.prefixlen)
    )


def _port(fields: Fields) -> PolicyPort:
    fields.allow_only("protocol", "port", "endPort")
    port = port_or_name(fields, "port")
    end = port_number(fields, "endPort") or None
    if end is not None and not isinstance(port, int):
        fields.problem(
            fields.at("endPort"),
            end,
            "needs a numeric port beside it",
            "give `port` the first number of the range",
        )
    elif end is not None and isinstance(port, int) and end < port:
        fields.problem(
            fields.at("endPort"), end, f"is lower than port {port}", "make it the last number of the range"
        )
    return PolicyPort(protocol_of(fields), port, end)
