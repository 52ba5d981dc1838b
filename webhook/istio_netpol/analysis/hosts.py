"""Turns host names that tenants write into addresses, and refuses what they must not open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from ipaddress import ip_network

from istio_netpol.model.addresses import Address, AddressSet, Network
from istio_netpol.model.resolution import ResolutionStatus, Resolver
from istio_netpol.model.settings import HostSettings

RESERVED = AddressSet.of(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "::/127",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
"""Addresses that are never a public service: the IANA special-purpose registries, among them every cloud's
metadata address. IPv6 ranges that embed IPv4 addresses (mapped, NAT64, 6to4) are among them, since they
would reach the embedded one."""


NO_ADDRESSES = AddressSet()
_FORBIDDEN = "a private, reserved or cluster address"


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """The addresses of a host, or why there are none: `refused` by the administrator's rules, or
    `unresolved`."""

    host: str
    addresses: AddressSet = NO_ADDRESSES
    refused: str = ""
    unresolved: str = ""


class HostLimits:
    """What hosts may stand for in one cluster: worked out once, while a gate serves one analysis.

    `cluster` addresses (the API server's, nodes', pods', Services') are refused wherever they lie; they are
    asked for when a host first matters.
    """

    def __init__(self, settings: HostSettings, cluster: Callable[[], AddressSet]) -> None:
        self.settings = settings
        self._cluster = cluster

    @cached_property
    def forbidden(self) -> AddressSet:
        """What no host may stand for."""
        allowed = AddressSet.of(*self.settings.allowed_private)
        return _forbidden(self.settings) | (self._cluster() - allowed)

    def known(self, host: str) -> AddressSet | None:
        """The operator's word on a host; None without one."""
        written = self.settings.known_addresses.get(host)
        return None if written is None else AddressSet.of(*written)


class HostGate:
    """Resolves host names within the administrator's limits. One gate serves one analysis: it counts what
    namespaces bring."""

    def __init__(self, resolver: Resolver, limits: HostLimits) -> None:
        self._resolver = resolver
        self._limits = limits
        self._settings = limits.settings
        self._brought: dict[str, dict[str, int]] = {}
        self._answers: dict[tuple[str, str], HostAnswer] = {}

    def addresses(self, host: str, namespace: str) -> HostAnswer:
        """What a host stands for, asked on behalf of an object of `namespace`; the operator's own word is
        never refused."""
        known = self._limits.known(host)
        if known is not None:
            return HostAnswer(host, known)
        answer = self._answers.get((host, namespace))
        if answer is None:
            answer = self._answers[host, namespace] = self._ask(host, namespace)
        return self._within_cap(answer, namespace) if answer.addresses else answer

    def literal(self, text: str, addresses: AddressSet, namespace: str) -> HostAnswer:
        """The same limits for addresses that were written instead of a host."""
        known = self._limits.known(text)
        if known is not None:
            return HostAnswer(text, known)
        if not self._is_allowed(text):
            return _not_allowed(text)
        if addresses & self._limits.forbidden:
            return HostAnswer(text, refused=f"{text} is {_FORBIDDEN}")
        return self._within_cap(HostAnswer(text, addresses), namespace)

    def blocks(self, addresses: AddressSet) -> AddressSet:
        """The addresses merged into blocks no wider than the settings allow, and never over a forbidden
        range."""
        merged = AddressSet()
        for version, widest in ((4, self._settings.widest_ipv4_block), (6, self._settings.widest_ipv6_block)):
            for block in _covering(addresses, version, widest):
                wide = AddressSet.of(block)
                merged |= wide & addresses if wide & self._limits.forbidden else wide
        return merged

    def _ask(self, host: str, namespace: str) -> HostAnswer:
        if not self._is_allowed(host):
            return _not_allowed(host)
        found = self._resolver.resolve(host, namespace)
        if found.status is not ResolutionStatus.RESOLVED:
            return HostAnswer(host, unresolved=found.reason)
        if len(found.addresses) > self._settings.max_addresses_per_host:
            count, limit = len(found.addresses), self._settings.max_addresses_per_host
            return HostAnswer(
                host,
                refused=f"{host} has {count} addresses, more than the {limit} that a host may bring",
            )
        addresses = AddressSet.of(*found.addresses)
        private = addresses & self._limits.forbidden
        if private:
            return HostAnswer(host, refused=f"{host} resolves to {_first(private)}, {_FORBIDDEN}")
        return HostAnswer(host, addresses)

    def _is_allowed(self, host: str) -> bool:
        return any(fnmatchcase(host, pattern) for pattern in self._settings.allowed_hosts)

    def _within_cap(self, answer: HostAnswer, namespace: str) -> HostAnswer:
        brought = self._brought.setdefault(namespace, {})
        limit = self._settings.max_addresses_per_namespace
        count = _size(answer.addresses)
        if answer.host not in brought and sum(brought.values()) + count > limit:
            return HostAnswer(
                answer.host,
                refused=f"with {answer.host}, namespace {namespace} would bring more than {limit} addresses",
            )
        brought[answer.host] = count
        return answer


def _not_allowed(host: str) -> HostAnswer:
    return HostAnswer(host, refused=f"{host} is not among the hosts that the administrator allows")


def _forbidden(settings: HostSettings) -> AddressSet:
    cluster = AddressSet.of(*settings.pod_cidrs, *settings.service_cidrs, *settings.node_cidrs)
    return (RESERVED | cluster) - AddressSet.of(*settings.allowed_private)


def _first(addresses: AddressSet) -> Address:
    return next(addresses.ranges())[0]


def _size(addresses: AddressSet) -> int:
    return sum(high - low + 1 for low, high in addresses.ipv4 + addresses.ipv6)


def _covering(addresses: AddressSet, version: int, widest: int) -> Iterable[Network]:
    """For each block of the widest permitted size that holds addresses, the smallest block that covers
    those."""
    groups: dict[Network, list[Network]] = {}
    for network in addresses.networks():
        if network.version == version:
            wide = network if network.prefixlen < widest else network.supernet(new_prefix=widest)
            groups.setdefault(wide, []).append(network)
    return [_smallest_cover(members) for members in groups.values()]


def _smallest_cover(networks: list[Network]) -> Network:
    low = min(int(network.network_address) for network in networks)
    high = max(int(network.broadcast_address) for network in networks)
    bits = networks[0].max_prefixlen
    prefix = bits - (low ^ high).bit_length()
    return ip_network((networks[0].network_address, prefix), strict=False)
