"""Which addresses an object may open, written as a host name or as they are. The same limits hold whoever
writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import cached_property
from ipaddress import ip_network

from msgspec import Struct

from istio_netpol.model.addresses import ALL_ADDRESSES, NO_ADDRESSES, Address, AddressSet, Network
from istio_netpol.model.resolution import ResolutionStatus, Resolver
from istio_netpol.model.settings import HostSettings
from istio_netpol.trust.special_addresses import NOT_A_SERVER, SPECIAL

_FORBIDDEN = "a private, reserved or cluster address"


class HostAnswer(Struct, frozen=True):
    """The addresses of a host, or why there are none: `refused` by the administrator's rules, or
    `unresolved`. `found` are the addresses for which it is refused."""

    host: str
    addresses: AddressSet = NO_ADDRESSES
    refused: str = ""
    unresolved: str = ""
    found: AddressSet = NO_ADDRESSES


class HostLimits:
    """What hosts and literal addresses may stand for in one cluster. It is worked out once; a gate serves one
    analysis.

    `cluster` addresses (the API server's, nodes', pods', Services') are refused wherever they lie; `nodes`
    are those of them at which pods of the host network may say that they run. Both are asked for when they
    first matter."""

    def __init__(
        self,
        settings: HostSettings,
        cluster: Callable[[], AddressSet],
        nodes: Callable[[], AddressSet] = lambda: NO_ADDRESSES,
    ) -> None:
        self.settings = settings
        self._cluster = cluster
        self._nodes = nodes

    @cached_property
    def forbidden(self) -> AddressSet:
        """The addresses that neither a host nor a literal may stand for."""
        allowed = AddressSet.of(*self.settings.allowed_private)
        return _forbidden(self.settings) | (self._cluster() - allowed)

    @cached_property
    def nodes(self) -> AddressSet:
        """The addresses of the cluster's Nodes."""
        return self._nodes()

    @cached_property
    def literals(self) -> AddressSet:
        """The addresses that may be written as they are.

        An administrator who narrows `allowed_hosts` means every way around it too, so then only the addresses
        that a list names are allowed."""
        settings = self.settings
        if not settings.allowed_addresses and "*" in settings.allowed_hosts:
            return ALL_ADDRESSES
        return AddressSet.of(*settings.allowed_addresses, *settings.allowed_private)

    def known(self, host: str) -> AddressSet | None:
        """The addresses that the operator gives for a host; None without them."""
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
        """What a host stands for, asked on behalf of an object of `namespace`; addresses that the operator
        gives are never refused."""
        known = self._limits.known(host)
        if known is not None:
            return HostAnswer(host, known)
        answer = self._answers.get((host, namespace))
        if answer is None:
            answer = self._answers[host, namespace] = self._ask(host, namespace)
        return self._within_cap(answer, namespace) if answer.addresses else answer

    def of_administrators(self, host: str, namespace: str) -> HostAnswer:
        """What a host of the cluster's own stands for, such as the API server's name, which administrators
        tell.

        It may lie at private addresses and at the cluster's, but not where the platform or the machine itself
        answers. No list of hosts and no count of a namespace holds for it."""
        known = self._limits.known(host)
        if known is not None:
            return HostAnswer(host, known)
        found = self._resolver.resolve(host, namespace)
        if found.status is not ResolutionStatus.RESOLVED:
            return HostAnswer(host, unresolved=found.reason)
        addresses = AddressSet.of(*found.addresses)
        forbidden = addresses & (NOT_A_SERVER - AddressSet.of(*self._settings.allowed_private))
        if forbidden:
            what = f"{host} resolves to {_first(forbidden)}, where no API server answers"
            return HostAnswer(host, refused=what, found=addresses)
        return HostAnswer(host, addresses)

    def is_known(self, host: str) -> bool:
        """Whether the operator says what a host stands for, so that nobody has to be asked."""
        return self._limits.known(host) is not None

    def literal(self, text: str, addresses: AddressSet, namespace: str) -> HostAnswer:
        """The same limits for addresses that stand where a host could, or that a host's own author lists."""
        known = self._limits.known(text)
        if known is not None:
            return HostAnswer(text, known)
        forbidden = addresses & self._limits.forbidden
        if forbidden:
            what = "is" if forbidden == addresses else f"contains {_first(forbidden)},"
            return HostAnswer(text, refused=f"{text} {what} {_FORBIDDEN}")
        if not addresses <= self._limits.literals:
            return HostAnswer(
                text,
                refused=f"{text} is not among the addresses that the administrator allows "
                "(hosts.allowedAddresses)",
            )
        return self._within_cap(HostAnswer(text, addresses), namespace)

    def of_host_network(self, text: str, addresses: AddressSet, namespace: str) -> HostAnswer:
        """The same limits for the addresses at which pods of the host network say that they run: those of
        Nodes are theirs, whatever else their status names is a literal."""
        elsewhere = addresses - self._limits.nodes
        return self.literal(text, elsewhere, namespace) if elsewhere else HostAnswer(text, addresses)

    def blocks(self, addresses: AddressSet) -> AddressSet:
        """The addresses merged into blocks no wider than the settings allow, and never over a forbidden
        range."""
        merged = NO_ADDRESSES
        for version, widest in ((4, self._settings.widest_ipv4_block), (6, self._settings.widest_ipv6_block)):
            for block in _covering(addresses, version, widest):
                wide = AddressSet.of(block)
                merged |= wide & addresses if wide & self._limits.forbidden else wide
        return merged

    def _ask(self, host: str, namespace: str) -> HostAnswer:
        if not self._is_allowed(host):
            return HostAnswer(host, refused=f"{host} is not among the hosts that the administrator allows")
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
            return HostAnswer(
                host, refused=f"{host} resolves to {_first(private)}, {_FORBIDDEN}", found=addresses
            )
        return HostAnswer(host, addresses)

    def _is_allowed(self, host: str) -> bool:
        return any(fnmatchcase(host, pattern) for pattern in self._settings.allowed_hosts)

    def _within_cap(self, answer: HostAnswer, namespace: str) -> HostAnswer:
        brought = self._brought.setdefault(namespace, {})
        limit = self._settings.max_addresses_per_namespace
        count = answer.addresses.cidr_count
        if answer.host not in brought and sum(brought.values()) + count > limit:
            return HostAnswer(
                answer.host,
                refused=f"with {answer.host}, namespace {namespace} would bring more than {limit} addresses",
            )
        brought[answer.host] = count
        return answer


def _forbidden(settings: HostSettings) -> AddressSet:
    cluster = AddressSet.of(*settings.pod_cidrs, *settings.service_cidrs, *settings.node_cidrs)
    return (SPECIAL | cluster) - AddressSet.of(*settings.allowed_private)


def _first(addresses: AddressSet) -> Address:
    return next(addresses.ranges())[0]


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
